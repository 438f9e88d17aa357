"""Removes secrets from everything that is stored or shown.

- `redactor`: replaces values by `[secret NAME]`, in texts, JSON values and answers of models.
- `forms`, `numbers`: how a value looks if it is encoded, or written as a number.
- `current`: which redactor applies in the current context.
- `logs`: cleans log records; imported by modules that make calls.

Not found: a value that is split, reversed, encrypted, hashed, or encoded in a way that `forms` does
not know. Nothing here reads the environment.
"""

from engine.redaction.current import bind, bound, current
from engine.redaction.redactor import Redactor

__all__ = ["Redactor", "bind", "bound", "current"]
