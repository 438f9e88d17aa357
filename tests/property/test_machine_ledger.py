"""Budgets as a tree: what is set aside and spent adds up at every node, and nothing passes one."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events import ModelInfo, Usage
from engine.runtime.budget import Ledger, prompt_bytes, reservation_for
from engine.runtime.ports import Message
from engine.sema.model import Budget

AMOUNTS = st.one_of(st.none(), st.integers(0, 2_000))
BUDGETS = st.builds(lambda cost, tokens: Budget(cost_usd=cost, tokens=tokens), AMOUNTS, AMOUNTS)
PRICES = st.sampled_from([None, 0, 1, 150_000, 1_000_000, 75_000_000])
MODELS = st.builds(lambda i, o: ModelInfo("m", True, i, o), PRICES, PRICES)
SHARES = st.floats(0, 1)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 5), BUDGETS), min_size=1, max_size=6), st.data())
def test_nothing_passes_a_budget_and_every_node_is_the_sum_below_it(nodes, data):
    ledgers = [Ledger(nodes[0][1])]
    for at, (parent, budget) in enumerate(nodes[1:], 1):
        ledgers.append(Ledger(budget, ledgers[parent % at]))
    own = [{"cost": 0, "tokens": 0, "calls": 0} for _ in ledgers]
    open_: list[tuple[int, object]] = []
    for _ in range(data.draw(st.integers(0, 25))):
        if open_ and data.draw(st.booleans()):
            index, wanted = open_.pop(data.draw(st.integers(0, len(open_) - 1)))
            used = Usage(
                input_tokens=int(wanted.input_tokens * data.draw(SHARES)),
                output_tokens=int(wanted.output_tokens * data.draw(SHARES)),
                cost_micro_usd=None
                if wanted.cost_usd is None
                else int(wanted.cost_usd * data.draw(SHARES)),
            )
            used = data.draw(st.sampled_from([used, wanted.as_usage(), Usage()]))
            ledgers[index].settle(wanted, used)
            own[index]["cost"] += used.cost_micro_usd or 0
            own[index]["tokens"] += used.input_tokens + used.output_tokens
            own[index]["calls"] += 1
        else:
            index = data.draw(st.integers(0, len(ledgers) - 1))
            info = data.draw(MODELS)
            tokens = data.draw(st.integers(0, 600)), data.draw(st.integers(0, 600))
            wanted = reservation_for(info, *tokens)
            before = [(x.reserved_usd, x.reserved_tokens) for x in ledgers]
            if ledgers[index].reserve(wanted) is None:
                open_.append((index, wanted))
            else:
                assert [(x.reserved_usd, x.reserved_tokens) for x in ledgers] == before
        for at, ledger in enumerate(ledgers):
            below = [i for i, x in enumerate(ledgers) if ledger in x.lineage()]
            assert ledger.cost_usd == sum(own[i]["cost"] for i in below)
            assert ledger.tokens == sum(own[i]["tokens"] for i in below)
            assert ledger.calls == sum(own[i]["calls"] for i in below)
            held = [wanted for i, wanted in open_ if i in below]
            assert ledger.reserved_tokens == sum(w.tokens for w in held)
            assert ledger.reserved_usd == sum(w.cost_usd or 0 for w in held)
            budget = nodes[at][1]
            if budget.tokens is not None:
                assert ledger.tokens + ledger.reserved_tokens <= budget.tokens
                assert 0 <= (ledger.left_tokens() or 0) <= budget.tokens
            if budget.cost_usd is not None:
                assert ledger.cost_usd + ledger.reserved_usd <= budget.cost_usd
                assert 0 <= (ledger.left_usd() or 0) <= budget.cost_usd


@given(MODELS, st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**6))
def test_a_price_is_whole_never_too_low_and_grows_with_the_tokens(
    info, tokens_in, tokens_out, more
):
    price = reservation_for(info, tokens_in, tokens_out).cost_usd
    if info.input_usd is None or info.output_usd is None:
        assert price is None
        return
    exact = tokens_in * info.input_usd + tokens_out * info.output_usd
    assert price is not None
    assert exact <= price * 1_000_000 < exact + 1_000_000
    assert (reservation_for(info, tokens_in + more, tokens_out).cost_usd or 0) >= price


@given(MODELS, st.integers(1, 10**6), st.integers(0, 10**7), st.integers(1, 10**5))
def test_no_prompt_is_reserved_beyond_the_context_window(info, context, tokens_in, most):
    windowed = msgspec.structs.replace(info, context=context)
    wanted = reservation_for(windowed, tokens_in, most)
    assert (wanted.input_tokens, wanted.output_tokens) == (min(tokens_in, context), most)
    assert wanted.cost_usd == reservation_for(info, wanted.input_tokens, most).cost_usd


@given(st.lists(st.text(), max_size=4))
def test_a_prompt_has_no_more_tokens_than_its_bound(texts):
    messages = [Message("user", text) for text in texts]
    assert prompt_bytes(messages) >= sum(len(text.encode()) for text in texts)
