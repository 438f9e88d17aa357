"""ORC501, ORC502, ORC509: ids of models against the price table that LiteLLM ships.

The table is read as a file. It does not know every model: servers of one's own, deployments, what
came out yesterday. So what it does not know is told only where it looks misspelt: where it lists
something very near, and nothing (`price`, `api_base`) says that the id is meant as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from engine.bounds import amount
from engine.diagnostics import Diagnostic, Edit, Fix, Related, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.lookup import setting_of
from engine.linter.subject import Subject
from engine.prices import Listing, look_up, models_of, providers
from engine.schemes import built_in, split_id
from engine.sema.model import Model
from engine.source import Span
from engine.syntax import ast

__all__ = ["fallback_weaker", "model_cannot_do", "unknown_model"]

#: Providers whose models all have names of the provider's: there are no custom deployments there.
_CLOSED = frozenset(
    (
        "anthropic", "cerebras", "cohere", "deepseek", "gemini", "groq", "mistral", "moonshot",
        "openai", "perplexity", "xai", "zai",
    )
)  # fmt: skip
#: How near a name must be to be taken for a slip.
_NEAR = 0.8
#: What the table calls models that answer a prompt with a text.
_TALKS = ("chat", "responses", "completion", None)


UNKNOWN_MODEL = Rule(
    code="ORC501",
    name="unknown-model",
    severity="warning",
    summary="The id of a model looks misspelt.",
    why=(
        "A misspelt id would only fail when the model is called, and nothing is known of "
        "its price until then."
    ),
    bad='model m { id = "openai/gpt-5-mni" }',
    good='model m { id = "openai/gpt-5-mini" }',
    allowable=True,
)


def unknown_model(subject: Subject) -> Iterator[Diagnostic]:
    """ORC501: an id that looks misspelt."""
    for model, at in _written(subject):
        given = model.id
        told = "api_base" in model.options or model.price is not None
        if told or built_in(given) or look_up(given) is not None:
            continue
        near = _meant(given)
        if near is None:
            continue
        yield diagnostic(
            "ORC501",
            f"LiteLLM's price table does not know `{given}`",
            at,
            help=f"did you mean `{near}`? If it is right, give its `price` and `context`",
            fix=Fix(f"write `{near}`", (Edit(at, f'"{near}"'),)),
        )


MODEL_CANNOT_DO = Rule(
    code="ORC502",
    name="model-cannot-do",
    severity="error",
    summary="A model is asked for what it does not do.",
    why="The call would be refused, or cut short.",
    bad='model m { id = "openai/text-embedding-3-small" }',
    good='model m { id = "openai/gpt-5-mini" }',
    allowable=True,
)


def model_cannot_do(subject: Subject) -> Iterator[Diagnostic]:
    """ORC502: a model that is asked for what it does not do."""
    for file in subject.files:
        yield from _misused(file)


def _misused(subject: Subject) -> Iterator[Diagnostic]:
    for model, at in _written(subject):
        listed = _listed(model)
        if listed is None:
            continue
        if listed.mode not in _TALKS:
            yield diagnostic(
                "ORC502",
                f"`{model.id}` is a model for {str(listed.mode).replace('_', ' ')}; it does not "
                "answer prompts",
                at,
                help="take a chat model",
            )
        elif listed.max_output is not None and model.max_tokens > listed.max_output:
            yield diagnostic(
                "ORC502",
                f"`{model.id}` answers with at most {amount(listed.max_output)} tokens, and "
                f"`max_tokens` is {amount(model.max_tokens)}",
                _setting(subject, model, "max_tokens") or at,
                help=f"write `max_tokens = {listed.max_output}` or less",
            )
        elif model.structured == "native" and not listed.native and _is_closed(model.id):
            yield diagnostic(
                "ORC502",
                f"`{model.id}` takes no JSON Schema for its answer, and `structured` is `native`",
                _setting(subject, model, "structured") or at,
                help="write `structured = prompt`, or leave it out",
            )


FALLBACK_WEAKER = Rule(
    code="ORC509",
    name="fallback-weaker",
    severity="info",
    summary="A fallback has a smaller context window than the model it replaces.",
    why=(
        "A fallback is asked with the same prompt. One that holds less fails when it is "
        "needed: when the run has grown long."
    ),
    bad="""\
model big { id = "openai/own"  context = 200k  fallback = [little] }
model little { id = "openai/own-small"  context = 32k }""",
    good="""\
model big { id = "openai/own"  context = 200k  fallback = [little] }
model little { id = "openai/own-small"  context = 200k }""",
    allowable=True,
)


def fallback_weaker(subject: Subject) -> Iterator[Diagnostic]:
    """ORC509: a fallback that holds less than the model it replaces."""
    for model, at in _written(subject):
        own = _window(model)
        for name in model.fallback:
            other = subject.program.models.get(name)
            window = None if other is None else _window(other)
            if other is None or own is None or window is None or window >= own:
                continue
            yield diagnostic(
                "ORC509",
                f"fallback `{name}` takes {amount(window)} tokens, `{model.name}` {amount(own)}: "
                "a prompt that fits one may not fit the other",
                _setting(subject, model, "fallback") or at,
                help="take a fallback with as large a context window, or bound the prompts",
                related=(Related("the fallback", other.span),),
            )


def _written(subject: Subject) -> Iterator[tuple[Model, Span]]:
    """The models whose id the file writes as a string, and where."""
    for name, model in subject.program.models.items():
        entity = subject.declared.get(name)
        if entity is None or not isinstance(entity.declaration, ast.ModelDecl):
            continue
        value = setting_of(entity.declaration.body, "id")
        if isinstance(value, ast.String) and model.id:
            yield model, value.span


def _setting(subject: Subject, model: Model, name: str) -> Span | None:
    declaration = subject.declared[model.name].declaration
    assert isinstance(declaration, ast.ModelDecl)
    value = setting_of(declaration.body, name)
    return None if value is None else value.span


def _listed(model: Model) -> Listing | None:
    """What the table says of a model that is its provider's own."""
    if built_in(model.id) or "api_base" in model.options:
        return None
    return look_up(model.id)


def _window(model: Model) -> int | None:
    if model.context is not None:
        return model.context
    listed = _listed(model)
    return None if listed is None else listed.context


def _is_closed(model_id: str) -> bool:
    provider, slash, _ = model_id.partition("/")
    return not slash or provider in _CLOSED


def _meant(given: str) -> str | None:
    """The listed id that a misspelt one most likely means, or None."""
    provider, slash, name = given.partition("/")
    if not slash:
        bare = {each: f"{other}/{each}" for other in sorted(_CLOSED) for each in models_of(other)}
        near = _near(given, bare)
        return None if near is None else bare[near]
    if provider in _CLOSED:
        near = None if name.startswith("ft:") else _near(name, models_of(provider))
        return None if near is None else f"{provider}/{near}"
    if provider in providers():
        return None
    for other in _alike(provider, _CLOSED, n=2, cutoff=0.7):
        listed = f"{other}/{name}"
        if look_up(listed) is not None and split_id(given)[0] is None:
            return listed
    return None


def _near(name: str, listed: Iterable[str]) -> str | None:
    """The nearest listed name of the same numbers: another number may be that of a newer model."""
    numbers = re.findall(r"\d", name)
    candidates = [other for other in listed if re.findall(r"\d", other) == numbers]
    found = _alike(name, candidates, n=1, cutoff=_NEAR)
    return found[0] if found else None


def _alike(name: str, candidates: Iterable[str], n: int, cutoff: float) -> list[str]:
    # 2 ms of CPU, and only an unknown model needs it.
    from difflib import get_close_matches

    return get_close_matches(name, list(candidates), n=n, cutoff=cutoff)
