"""Foreign text in prompts: made safe, and put between tags.

What workers and strangers wrote is in a tag or in one of our lines. It can end neither.
"""

from __future__ import annotations

__all__ = ["UNTRUSTED", "fenced", "line", "safe"]

#: The mark of untrusted text, as an attribute of its tag.
UNTRUSTED = ' trust="untrusted"'


def fenced(tag: str, text: str, attributes: str = "") -> str:
    """Text between tags. It must have been made safe: what it is safe from is said there."""
    return f"<{tag}{attributes}>\n{text}\n</{tag}>"


def safe(text: str) -> str:
    """Foreign text that cannot close a tag."""
    return text.replace("</", "<\\/")


def line(text: str) -> str:
    """Foreign text as part of our line: they can neither end it nor close a tag."""
    return safe(" ".join(text.split()))
