"""Refuses input from people that contains a secret.

The journal stores inputs, params, the text of the program, and answers at gates. Each is searched
before it is stored, and refused with the name of the secret. Replacing a part of it, as in the
results of workers, would run something other than what was requested. No message shows the
value.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from engine.errors import InputError
from engine.provider_keys import key_values
from engine.redaction import Redactor

if TYPE_CHECKING:
    from engine.journal import RunRecord
    from engine.sema.model import Program

__all__ = ["holds", "redactor_for", "redactor_of", "refuse_given", "refuse_written"]

#: From this length on a secret in a text is not a coincidence.
_CERTAIN = 8


def redactor_of(
    program: Program,
    environment: Mapping[str, str] | None = None,
    models: Iterable[Any] = (),
    secrets: Mapping[str, str] | None = None,
) -> Redactor:
    """What knows the secrets of a program that are set here, and the keys of model providers.

    Args:
        environment: Where they are set; that of the process if None.
        models: What replaces declared models: the providers of ids among them count too.
        secrets: The values of declared secrets, where they are not to be read here.
    """
    ids = [model.id for model in program.models.values()]
    ids += [model for model in models if isinstance(model, str)]
    if secrets is None:
        return redactor_for(program.secrets, environment, ids)
    return Redactor({**key_values(_given(environment), ids), **secrets})


def redactor_for(
    names: Iterable[str], environment: Mapping[str, str] | None = None, models: Iterable[str] = ()
) -> Redactor:
    """The same for secrets of these names, where there is no program."""
    given = _given(environment)
    declared = {name: given[name] for name in names if given.get(name)}
    return Redactor({**key_values(given, models), **declared})


def _given(environment: Mapping[str, str] | None) -> Mapping[str, str]:
    return os.environ if environment is None else environment


def holds(name: str) -> str:
    """The end of a sentence that refuses something."""
    return f"holds the value of the secret {name}, which may not be written down"


def refuse_given(redactor: Redactor, input: Mapping[str, Any], params: Mapping[str, Any]) -> None:
    """Refuse a secret among inputs and params, before a complaint about one can quote it.

    Raises:
        InputError: There is one.
    """
    problems = []
    for what, given in (("input", input), ("param", params)):
        for name, value in given.items():
            found = redactor.found({name: value})
            if found is not None:
                problems.append(f"{what} `{redactor.text(str(name))}` {holds(found)}")
    if problems:
        raise InputError(problems)


def refuse_written(redactor: Redactor, record: RunRecord) -> None:
    """Refuse a secret in what is kept of a program.

    Short ones are let pass: they are in ordinary text by chance.

    Raises:
        InputError: There is one.
    """
    kept: dict[str, Any] = {f"the file {path}": text for path, text in record.files.items()}
    kept["the path of the program"] = [record.workflow, record.cwd, list(record.files)]
    kept["the id of a model"] = dict(record.models)
    kept["a label"] = dict(record.labels)
    problems = [
        f"{redactor.text(what)} {holds(found)}"
        for what, value in kept.items()
        if (found := redactor.found(value, least=_CERTAIN)) is not None
    ]
    if problems:
        raise InputError(problems)
