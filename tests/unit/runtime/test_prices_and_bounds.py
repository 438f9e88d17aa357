"""A reservation is never below what a call then costs, whatever the prices and the usage."""

from hypothesis import given
from hypothesis import strategies as st

from engine.events import ModelInfo
from engine.models.usage import usage_of
from engine.prices import Rates, Tokens, dearest, most_cost, settled_cost
from engine.runtime.budget import reservation_for

price = st.integers(0, 80_000_000)
maybe = st.none() | price


@st.composite
def tables(draw):
    """Prices by length, as a table may have them: a longer prompt may even be cheaper."""
    lengths = [0, *sorted(draw(st.sets(st.integers(1, 400_000), max_size=3)))]
    return tuple(
        Rates(
            draw(price),
            draw(price),
            above=length,
            cached_usd=draw(maybe),
            written_usd=draw(maybe),
            reasoning_usd=draw(maybe),
        )
        for length in lengths
    )


@st.composite
def reports(draw):
    """A `usage` as a server may send it, with counts that do not even fit each other."""
    count = st.integers(0, 500_000)
    return {
        "prompt_tokens": draw(count),
        "completion_tokens": draw(count),
        "total_tokens": draw(count | st.just(0)),
        "prompt_tokens_details": {
            "cached_tokens": draw(count),
            "cache_creation_tokens": draw(count),
        },
        "completion_tokens_details": {"reasoning_tokens": draw(count)},
    }


@given(tables(), reports(), st.integers(0, 10_000), st.integers(0, 10_000))
def test_the_reservation_covers_what_was_used(rates, said, more, longer):
    info = ModelInfo("m", input_usd=rates[0].input_usd, output_usd=rates[0].output_usd, rates=rates)
    used = usage_of(said, info)
    if used is None:
        return
    assert used.cached_tokens + used.cache_write_tokens <= used.input_tokens
    assert used.reasoning_tokens <= used.output_tokens
    wanted = reservation_for(info, used.input_tokens + more, used.output_tokens + longer)
    assert wanted.cost_usd >= used.cost_micro_usd


@given(tables(), st.integers(0, 500_000), st.integers(0, 500_000))
def test_one_price_for_all_is_what_one_price_gave_before(rates, prompt, answer):
    rate = Rates(rates[0].input_usd, rates[0].output_usd)
    exact = prompt * rate.input_usd + answer * rate.output_usd
    assert settled_cost((rate,), Tokens(prompt, answer)) == -(-exact // 1_000_000)
    assert most_cost((rate,), prompt, answer) == -(-exact // 1_000_000)


def test_a_length_that_cannot_be_reached_does_not_count():
    rates = (Rates(1, 2, written_usd=3), Rates(10, 20, above=200))
    assert dearest(rates, 200) == (3, 2)
    assert dearest(rates, 201) == dearest(rates) == (10, 20)
