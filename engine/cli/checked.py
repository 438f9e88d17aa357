"""A file checked for a command that uses the values of its params.

From here on nothing that the command says holds a secret, and no param may hold one: params end up
in prompts, in graphs and in the journal.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from engine.drive.guard import redactor_for, redactor_of, refuse_given
from engine.errors import InputError
from engine.redaction import bind
from engine.sema.check import CheckResult, check_file

__all__ = ["check_with_params"]

_PARAM = "ORCH_PARAM_"


def check_with_params(path: str, params: Mapping[str, str]) -> CheckResult:
    """Check a file, with params of the command line and of the environment.

    Raises:
        InputError: A param does not fit, or holds a secret.
        UnreadableFile: The file gives no text.
    """
    try:
        result = check_file(path, params=params)
    except InputError as error:
        redactor = redactor_for(error.secrets)
        bind(redactor)
        # Before the complaint is shown, for it quotes a part of the value.
        given = {k: v for k, v in os.environ.items() if k.startswith(_PARAM)}
        refuse_given(redactor, {}, {**given, **params})
        raise
    redactor = redactor_of(result.partial)
    bind(redactor)
    refuse_given(redactor, {}, result.partial.param_values())
    return result
