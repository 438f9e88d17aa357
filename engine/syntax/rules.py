"""The rules of the syntax: what a text that does not fit the grammar is told.

Errors of the language are raised in several files of this folder, by their code; what they mean is
written once, here (see `engine.diagnostics.rule`).
"""

from __future__ import annotations

from engine.diagnostics.rule import Rule

SYNTAX_ERROR = Rule(
    code="ORC001",
    name="syntax-error",
    severity="error",
    summary="The text does not fit the grammar at this place.",
    why="Nothing after the error can be trusted; the message says what is expected there.",
    bad="model m { id = }",
    good='model m { id = "openai/gpt-5-mini" }',
    allowable=False,
)

UNCLOSED_BLOCK = Rule(
    code="ORC002",
    name="unclosed-block",
    severity="error",
    summary="A `{`, `[` or `(` has no partner; the message names what it opens.",
    why="Everything up to the end of the file would belong to the block.",
    bad='model m { id = "openai/gpt-5-mini"',
    good='model m { id = "openai/gpt-5-mini" }',
    allowable=False,
)

COLON_FOR_SETTING = Rule(
    code="ORC003",
    name="colon-for-setting",
    severity="error",
    summary=("A setting is written with `:`; settings take `=`, types and map entries take `:`."),
    why=(
        "`:` gives a type to a name or a value to a key of a map; `=` gives a value to a setting."
    ),
    bad='model m { id: "openai/gpt-5-mini" }',
    good='model m { id = "openai/gpt-5-mini" }',
    allowable=False,
)

MISSING_EQUALS = Rule(
    code="ORC004",
    name="missing-equals",
    severity="error",
    summary="A setting has a name and a value and nothing between them.",
    why="A setting is a name, `=` and a value.",
    bad='model m { id "openai/gpt-5-mini" }',
    good='model m { id = "openai/gpt-5-mini" }',
    allowable=False,
)

UNTERMINATED_STRING = Rule(
    code="ORC005",
    name="unterminated-string",
    severity="error",
    summary="A string or text block has no closing quotes.",
    why='A string ends on its line; use `"""` for a text of several lines.',
    bad="""\
model m { id = "openai/gpt-5-mini }
""",
    good="""\
model m { id = "openai/gpt-5-mini" }
""",
    allowable=False,
)

UNKNOWN_DECLARATION = Rule(
    code="ORC006",
    name="unknown-declaration",
    severity="error",
    summary="A declaration begins with a word that declares nothing.",
    why="A misspelt keyword would leave out a whole declaration.",
    bad='modle m { id = "openai/gpt-5-mini" }',
    good='model m { id = "openai/gpt-5-mini" }',
    allowable=False,
)

MISSING_VERSION_HEADER = Rule(
    code="ORC007",
    name="missing-version-header",
    severity="error",
    summary="The file does not begin with the edition of the language, `orch 1`.",
    why="The edition says which language the file is written in, for the engines to come.",
    bad='model m { id = "x" }',
    good="""\
orch 1
model m { id = "x" }""",
    allowable=False,
)

NEWER_LANGUAGE_VERSION = Rule(
    code="ORC008",
    name="newer-language-version",
    severity="error",
    summary="The file asks for an edition this engine does not know.",
    why=("What looks wrong in a newer edition may be right there, so nothing else is reported."),
    bad="orch 9",
    good="orch 1",
    allowable=False,
)

HASH_COMMENT = Rule(
    code="ORC907",
    name="hash-comment",
    severity="error",
    summary="A comment begins with `#`; comments begin with `//`.",
    why="Comments begin with `//`, doc comments with `///`.",
    bad="# a comment",
    good="// a comment",
    allowable=False,
)
