"""A lexer for Pygments, so that documentation shows `.orch` files in colour.

Found by Pygments through its entry point as `orch`, in Sphinx, MkDocs and on the command line
(`pygmentize -l orch FILE`). Strings are shown as the Jinja2 templates they may be. The words are
those of `orch.lark`; a test holds the two together.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pygments.lexer import RegexLexer, bygroups, include, words
from pygments.token import (
    Comment,
    Keyword,
    Name,
    Number,
    Operator,
    Punctuation,
    String,
    Whitespace,
)

__all__ = ["OrchLexer"]

_NAME = r"[^\W\d]\w*"
_DECLARING = ("model", "server", "template", "param", "secret")
_CALLABLE = ("worker", "verifier", "orchestrator")
_TYPES = (
    "string", "int", "float", "bool", "json", "url", "path", "email", "date", "datetime", "duration"
)  # fmt: skip


class OrchLexer(RegexLexer):  # type: ignore[misc]
    """Highlights `.orch` files."""

    name = "orch"
    aliases: ClassVar = ["orch"]
    filenames: ClassVar = ["*.orch"]
    mimetypes: ClassVar = ["text/x-orch"]

    tokens: ClassVar[dict[str, Any]] = {
        "root": [
            (r"^(orch)(\s+)(\d+)", bygroups(Keyword.Namespace, Whitespace, Number.Integer)),
            (
                rf"^({'|'.join(_CALLABLE)})(\s+)({_NAME})",
                bygroups(Keyword.Declaration, Whitespace, Name.Function),
            ),
            (rf"^(schema)(\s+)({_NAME})", bygroups(Keyword.Declaration, Whitespace, Name.Class)),
            (
                rf"^({'|'.join(_DECLARING)})(\s+)({_NAME})",
                bygroups(Keyword.Declaration, Whitespace, Name.Constant),
            ),
            (r"^(import|from)\b", Keyword.Namespace),
            (r"^(test)\b", Keyword.Declaration),
            include("code"),
        ],
        "code": [
            (r"///[^\n]*", String.Doc),
            (r"(//\s*)(orch:\s*allow)([^\n]*)", bygroups(Comment, Comment.Special, Comment)),
            (r"//[^\n]*", Comment.Single),
            (r"[\s\ufeff]+", Whitespace),
            (r'"""', String.Double, "text"),
            (r'"', String.Double, "string"),
            (rf"@{_NAME}", Name.Decorator),
            (r"(assert)(?!\s*[=:{])\b", Keyword),
            # Words that are keywords only where no `=` or `:` follows.
            (words(("and", "or", "not", "in", "is"), r"\b", r"\b(?!\s*[=:])"), Operator.Word),
            (words(("if", "else"), r"\b", r"\b(?!\s*[=:])"), Keyword),
            (words(("true", "false", "null"), r"\b", r"\b(?!\s*[=:])"), Keyword.Constant),
            (rf"(via)(\s+)({_NAME})", bygroups(Keyword, Whitespace, Name.Builtin)),
            (words(("fails", "as", "for", "import", "from"), r"\b", r"\b(?!\s*[=:])"), Keyword),
            (
                rf"(step)(\s+)({_NAME})(\s*)(?=\{{)",
                bygroups(Keyword, Whitespace, Name.Variable, Whitespace),
            ),
            (rf"({_NAME})(\s*)(=)(?!=)", bygroups(Name.Attribute, Whitespace, Operator)),
            (rf"({_NAME})(\s*)(?=\{{)", bygroups(Name.Attribute, Whitespace)),
            (rf"({_NAME})(\s*)(:)", bygroups(Name.Variable, Whitespace, Punctuation)),
            (words(_TYPES, r"\b", r"\b"), Keyword.Type),
            (r"\$?\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?\w*%?", Number),
            (r"->|==|!=|<=|>=|\*\*|[=<>~+\-*/%|?]", Operator),
            (r"[{}()\[\],.:]", Punctuation),
            (_NAME, Name),
        ],
        "template": [
            (r"\{#.*?#\}", Comment.Multiline),
            (r"\{\{.*?\}\}|\{%.*?%\}", String.Interpol),
        ],
        "string": [
            (r'"', String.Double, "#pop"),
            (r"\\.", String.Escape),
            include("template"),
            (r'[^"\\{\n]+|\{', String.Double),
            (r"\n", Whitespace, "#pop"),
        ],
        "text": [
            (r'"""', String.Double, "#pop"),
            include("template"),
            (r'[^"{]+|["{]', String.Double),
        ],
    }
