"""Secrets taken out of everything that is kept or shown.

- `redactor`: replaces values by `[secret NAME]`, in texts, JSON values and words of models.
- `forms`, `numbers`: what a value looks like when it comes back encoded, or as a number.
- `current`: which redactor is in force where.
- `logs`: log records that it cleans; imported by whoever makes calls.

What is not found: a value cut in two, reversed, encrypted, hashed, or encoded in a way that
`forms` does not know. Nothing here reads the environment.
"""

from engine.redaction.current import bind, bound, current
from engine.redaction.redactor import Redactor

__all__ = ["Redactor", "bind", "bound", "current"]
