"""A program in the language of an earlier build, which knows taint and nothing more.

`show`, `@from` and steps are taken out, and so are the hooks: what is left is what taint does with
the same declarations. With `asked`, a person is asked before each effect.
"""

from __future__ import annotations

import re

_SOURCES = re.compile(r" @from\((?:[^()]|\([^()]*\))*\)")
_SHOW = re.compile(r"^ *(?:show +=.*|context \{ show = \w+ \})\n", re.MULTILINE)
_STEPS = re.compile(r"^ *max_items +=.*\n", re.MULTILINE)
_VERIFY = re.compile(r"^  verify \{\n.*?^  \}\n", re.MULTILINE | re.DOTALL)
_RULE = re.compile(r"^/// [^\n]*\nverifier settles_\w+\(.*?^\}\n", re.MULTILINE | re.DOTALL)
_EFFECT = re.compile(r"^worker (\w+)\((?:(?!^worker ).)*?effect += once", re.MULTILINE | re.DOTALL)


_UNTRUSTED = re.compile(r" @untrusted|^ *trust +=.*\n", re.MULTILINE)


_PERSON = re.compile(r"via human \{.*?\}", re.DOTALL)


def refused(text: str) -> str:
    """A program's text with a rule in place of the person, that says no to everything.

    A gate is answered by a process that loads the run again. That takes longer than all the rest.
    """
    return _PERSON.sub('via rules { assert input == 0 else "no" }', text)


def bare(text: str) -> str:
    """A program's text without a word about trust: what attacks do where nothing is declared."""
    for pattern in (_SOURCES, _SHOW, _RULE, _UNTRUSTED, _VERIFY):
        text = pattern.sub("", text)
    return text


def earlier(text: str, *, asked: bool) -> str:
    """A program's text without what the earlier build does not know."""
    effects = _EFFECT.findall(text)
    for pattern in (_SOURCES, _SHOW, _STEPS, _RULE):
        text = pattern.sub("", text)
    hooks = "".join(
        f"    before_dispatch {name} {{ with = approval  on_fail = abort }}\n" for name in effects
    )
    return _VERIFY.sub(lambda _: f"  verify {{\n{hooks}  }}\n" if asked else "", text)
