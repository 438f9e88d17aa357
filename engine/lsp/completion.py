"""Completion: what may be written at the cursor.

`engine.lsp.context` says where the cursor is; what can be there comes from the table of
settings, the names of the module, the types an expression sees (`engine.lsp.cursor_probe`) and the
files next to this one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from lsprotocol import types as lsp

from engine.errors import BUILTIN_MODES, MODEL_MODES
from engine.lsp.context import context_at
from engine.lsp.cursor_probe import MARK, Seen, close_template, inside_tag, look
from engine.lsp.markdown import about_filter, about_setting, header, value_words
from engine.lsp.paths import beside, calls, models, pointers
from engine.lsp.project import Analysis, Project
from engine.lsp.value_sources import SOURCE_WORDS, endorsable, fields_after
from engine.sema.expressions.environment import REMOVED_FILTERS, shared_environment
from engine.sema.kinds import kind_names, usable
from engine.sema.settings.table import Kind, Row
from engine.sema.settings.values import (
    BlockValue,
    Bool,
    CallPath,
    Choice,
    ChoiceOrStrings,
    Computed,
    Mode,
    Modes,
    Names,
    Parse,
    Str,
    Text,
    Words,
)
from engine.sema.templates.typing_rules import attribute_of, field_names, is_null, open_up
from engine.sema.types.constraints import CONSTRAINTS
from engine.sema.types.definitions import SCALARS, Constant, Field, Function, Record, Type
from engine.source import SourceFile
from engine.syntax import ast

__all__ = ["TRIGGERS", "complete"]

#: Characters after which an editor asks by itself.
TRIGGERS = [".", "|", '"', "/", ":", "@", "{", " "]

_PATH = re.compile(r"[\w.]*\Z")
_KIND = lsp.CompletionItemKind

#: A declaration of each sort, as a snippet.
_DECLARATIONS = {
    "orch": "orch 1\n",
    "import": 'import "$1" as $2',
    "from": 'from "$1" import $2',
    "param": "param ${1:name}: ${2:string} = $0",
    "secret": "secret ${1:NAME}",
    "schema": "schema ${1:Name} {\n  $0\n}",
    "model": 'model ${1:name} {\n  id = "$0"\n}',
    "server": "server ${1:name} via mcp {\n  $0\n}",
    "template": 'template ${1:name} = """\n$0\n"""',
    "worker": (
        "worker ${1:name}(${2:input}: string) -> ${3:string} via ${4:llm} {\n"
        '  model  = $5\n  prompt = """\n    {{ ${2:input} }}$0\n    """\n}'
    ),
    "verifier": (
        "verifier ${1:name}(${2:result}: string) via ${3:rules} {\n"
        '  assert $0 else "${4:what is wrong}"\n}'
    ),
    "orchestrator": (
        "orchestrator ${1:name}(${2:input}: string) -> ${3:string} {\n"
        '  model   = $4\n  goal    = "$5"\n  workers = [$6]\n'
        "  policy {\n    max_rounds = ${7:8}\n    budget { cost = \\$1.00 }\n  }\n}"
    ),
    "test": (
        'test "${1:title}" for ${2:name} {\n  input = { $0 }\n  assert run.status == "finished"\n}'
    ),
}

#: What follows the string that such a declaration begins with.
_SECOND_WORDS = {"import": "as", "from": "import", "test": "for"}

_ENTITY_KINDS = {
    "schema": _KIND.Struct,
    "model": _KIND.Class,
    "server": _KIND.Interface,
    "template": _KIND.Snippet,
    "worker": _KIND.Function,
    "verifier": _KIND.Function,
    "orchestrator": _KIND.Class,
    "param": _KIND.Variable,
    "secret": _KIND.Constant,
}


def complete(
    project: Project, analysis: Analysis, source: SourceFile, offset: int
) -> list[lsp.CompletionItem]:
    """What may be written at a place of a file of a program, best first."""
    completion = _Completion(project, analysis, source, offset)
    if source is analysis.module.source:
        items = completion.in_workflow()
    else:
        items = completion.in_template(0, source.text, len(source.text))
    found: dict[str, lsp.CompletionItem] = {}
    for number, item in enumerate(items):
        item.sort_text = f"{number:04}"
        found.setdefault(item.label, item)
    return list(found.values())


class _Completion:
    def __init__(
        self, project: Project, analysis: Analysis, source: SourceFile, offset: int
    ) -> None:
        self.project = project
        self.analysis = analysis
        self.source = source
        self.text = source.text
        self.offset = offset
        self.places = analysis.places(source)
        self.scope = analysis.entry
        self.context = context_at(self.text, offset)

    # ------------------------------------------------------------ workflows

    def in_workflow(self) -> Iterable[lsp.CompletionItem]:
        context = self.context
        if self._in_comment():
            return ()
        if context.string is not None:
            return self._in_string()
        if not context.keyword:
            return self._declarations()
        before = context.items[-1] if context.items else ""
        if before == "@":
            return [self._item(name, _KIND.Keyword) for name in [*CONSTRAINTS, "untrusted"]]
        frame = context.frame
        if frame is not None and frame.bracket == "(" and frame.header[-2:] == ["@", "from"]:
            return self._sources(frame.items)
        if before == "." and len(context.items) > 1 and context.items[-2] in ("param", "secret"):
            space = self.scope.params if context.items[-2] == "param" else self.scope.secrets
            return [self._item(n, _ENTITY_KINDS[context.items[-2]]) for n in space]
        if context.body is None or (context.frame is not context.body and context.setting is None):
            return self._in_head(before)
        return self._in_body(context.body.kind)

    def _sources(self, items: list[str]) -> Iterator[lsp.CompletionItem]:
        """Inside `@from(`: the words, the workers, and after a dot the fields of one."""
        last = len(items) - items[::-1].index(",") if "," in items else 0
        path = [item for item in items[last:] if item != "."]
        if items and items[-1] == ".":
            program, scope = self.analysis.result.partial, self.scope
            for name, type_ in fields_after(program, scope, path):
                yield self._item(name, _KIND.Field, detail=type_)
            return
        for word, meaning in SOURCE_WORDS.items():
            yield self._item(word, _KIND.Keyword, detail=meaning)
        yield from self._names(("worker", "orchestrator"))

    def _in_comment(self) -> bool:
        line = self.text[self.text.rfind("\n", 0, self.offset) + 1 : self.offset]
        return line.lstrip().startswith("//")

    def _declarations(self) -> Iterator[lsp.CompletionItem]:
        for word, snippet in _DECLARATIONS.items():
            if word != "orch" or not self.text.lstrip().startswith("orch "):
                yield self._item(word, _KIND.Keyword, snippet=snippet, detail="declaration")

    def _in_head(self, before: str) -> Iterable[lsp.CompletionItem]:
        """Outside of bodies: types, `via`, the names of an import, the target of a test."""
        context = self.context
        keyword = context.keyword
        if before == "via":
            words = kind_names(keyword)
            return [self._item(word, _KIND.EnumMember) for word in words]
        if keyword == "test" and before == "for":
            return self._names(("orchestrator", "worker", "verifier"))
        if len(context.head) == 2 and keyword in _SECOND_WORDS and not context.frames:
            return [self._item(_SECOND_WORDS[keyword], _KIND.Keyword)]
        if keyword == "from" and "import" in context.head:
            return self._exports()
        wants_type = before in (":", "->", "|") or (keyword == "schema" and before == "=")
        if wants_type or (before == "." and self._after_type()):
            return self._types()
        if keyword in ("worker", "verifier", "server") and before not in ("->", keyword):
            words = ("via",) if keyword == "server" or "fails" in context.head else ("via", "fails")
            return [self._item(word, _KIND.Keyword) for word in words]
        if keyword == "template" and before in ("=", "~"):
            return [*self._names(("template",)), *self._file_call()]
        if before in ("=", "|") or context.frame is None or context.frame.bracket != "(":
            return self._expression()
        return ()

    def _after_type(self) -> bool:
        start = _PATH.search(self.text[: self.offset])
        head = self.text[: start.start()].rstrip() if start else ""
        return head.endswith((":", "->", "|"))

    def _types(self) -> Iterator[lsp.CompletionItem]:
        yield from self._names(("schema",))
        for scalar in SCALARS:
            yield self._item(scalar, _KIND.TypeParameter, detail="built-in type")

    def _exports(self) -> Iterator[lsp.CompletionItem]:
        named = self.context.head[1].strip('"')
        path = os.path.normpath(os.path.join(self.scope.module.base_dir, named))
        imported = self.project.analysis(path) if path != self.analysis.path else None
        if imported is None:
            return
        for kind, shown in _ENTITY_KINDS.items():
            for entity in imported.entry.own(kind):
                yield self._item(entity.name, shown, detail=kind)

    # ------------------------------------------------------------ bodies

    def _in_body(self, kind: Kind | None) -> Iterable[lsp.CompletionItem]:
        context = self.context
        body = context.body
        if kind is None or body is None:
            return ()
        setting = context.setting
        if setting is not None:
            if kind.numbered is not None and setting.isdigit():
                return self._modes()
            row = kind.row(setting)
            return () if row is None else self._value(row)
        items = body.items
        if (items and items[-1] in ("assert", "else")) or _in_assertion(items):
            return self._expression()
        row = kind.row(items[-1]) if items else None
        if row is not None and isinstance(row.value, BlockValue) and row.value.label:
            if row.value.declares:
                return ()  # a new name
            names = list(self._names(row.value.label))
            if row.name == "mock":
                names.append(self._item("orchestrator", _KIND.Keyword))
            return names
        if items and items[-1] in ("not", "and", "or", "(", "|", "."):
            return self._expression()
        return self._settings(kind, [*items, *context.after])

    def _settings(self, kind: Kind, written: list[str]) -> Iterator[lsp.CompletionItem]:
        for row in sorted(kind.rows, key=lambda row: not row.required):
            block = isinstance(row.value, BlockValue)
            repeated = isinstance(row.value, BlockValue) and row.value.repeated
            if row.name in written and not repeated:
                continue
            snippet = f"{row.name} = $0"
            if isinstance(row.value, BlockValue):
                snippet = f"{row.name}{' $1' if row.value.label else ''} {{\n  $0\n}}"
            elif isinstance(row.value, Names) and row.value.many == "list":
                snippet = f"{row.name} = [$0]"
            elif isinstance(row.value, Str | CallPath):
                snippet = f'{row.name} = "$0"'
            yield self._item(
                row.name,
                _KIND.Module if block else _KIND.Property,
                snippet=snippet,
                detail=("required, " if row.required else "") + value_words(row),
                doc=about_setting(kind, row),
            )
        if kind.assertions:
            yield self._item("assert", _KIND.Keyword, snippet='assert $1 else "$0"')

    def _value(self, row: Row) -> Iterable[lsp.CompletionItem]:
        value = row.value
        match value:
            case BlockValue(words=words):
                return [self._item(word, _KIND.EnumMember) for word in words]
            case Choice(options=options) | ChoiceOrStrings(options=options):
                return [
                    self._item(f'"{o}"' if not o.isidentifier() else o, _KIND.EnumMember)
                    for o in options
                ]
            case Bool():
                return [self._item(word, _KIND.Keyword) for word in ("true", "false")]
            case Names(kinds=kinds):
                return self._names(kinds)
            case Mode() | Modes():
                return self._modes()
            case Words():
                header = [] if self.context.body is None else self.context.body.header
                found = endorsable(self.analysis.result.partial, self.scope, header)
                return [self._item(name, _KIND.Field, detail=type_) for name, type_ in found]
            case Parse():
                return [self._item(word, _KIND.EnumMember) for word in ("json", "lines", "text")]
            case Text():
                return [*self._names(("template",)), *self._file_call()]
            case Computed(scope="plan"):
                return self._in_plan(row)
            case Computed():
                return self._expression()
        items = list(self._names(("param",)))
        if row.default is not None and row.default_text is not None:
            items.append(self._item(row.default_text, _KIND.Value, detail="the default"))
        return items

    def _in_plan(self, row: Row) -> Iterable[lsp.CompletionItem]:
        """The value of a setting of a plan: a call, the name of a step, or an expression."""
        frame, items = self.context.frame, self.context.items
        if row.name == "call" and frame is not None:
            if frame is self.context.body:
                return self._names(("worker",))
            if frame.bracket == "(" and items[-1:] in ([], [","]):
                return self._inputs_of(frame.header)
        return self._expression(plan=True)

    def _inputs_of(self, header: list[str]) -> Iterator[lsp.CompletionItem]:
        """The inputs of the worker that a call names, but for those that are given."""
        at = len(header) - header[::-1].index("=") if "=" in header else 0
        entity = self.scope.find("".join(header[at:]))
        given = set(self.context.items) | set(self.context.after)
        for item in getattr(None if entity is None else entity.declaration, "params", ()):
            name = item.name.text
            if name not in given:
                detail = " ".join(item.type.span.text.split())
                yield self._item(
                    name, _KIND.Property, detail=detail, doc=item.doc, snippet=f"{name}=$0"
                )

    def _file_call(self) -> Iterator[lsp.CompletionItem]:
        yield self._item("file", _KIND.Function, snippet='file("$0")', detail="the text of a file")

    def _modes(self) -> Iterator[lsp.CompletionItem]:
        modes = set(BUILTIN_MODES)
        head = self.context.head
        if head and "fails" in head:
            after = head[head.index("fails") + 1 :]
            declared = after[: after.index("via")] if "via" in after else after
            for name in declared:
                if name.isidentifier():
                    yield self._item(name, _KIND.EnumMember, detail="declared here")
        kind = usable(head[head.index("via") + 1]) if "via" in head[:-1] else None
        if self.context.keyword == "model":
            modes |= MODEL_MODES
        elif kind is not None:
            modes |= kind.modes
        for name in sorted(modes):
            yield self._item(name, _KIND.EnumMember, detail="built-in failure mode")

    def _names(self, kinds: tuple[str, ...]) -> Iterator[lsp.CompletionItem]:
        """The names that may be written here of declarations of some kinds."""
        if "param" in kinds:
            for name in self.scope.params:
                yield self._dotted(f"param.{name}", "param", None)
        for name in self.scope.visible(*kinds):
            entity = self.scope.names.get(name)
            if entity is None and "." in name:
                alias, _, rest = name.partition(".")
                inner = self.scope.aliases.get(alias)
                entity = None if inner is None else inner.names.get(rest)
            if entity is not None and entity.declaration is not None and entity.kind in kinds:
                yield self._dotted(name, entity.kind, entity.declaration)

    def _dotted(self, name: str, kind: str, node: ast.Declaration | None) -> lsp.CompletionItem:
        start = _PATH.search(self.text[: self.offset])
        item = self._item(name, _ENTITY_KINDS[kind], detail=kind)
        if start is not None and "." in start[0]:
            item.text_edit = lsp.TextEdit(self.places.range(start.start(), self.offset), name)
            item.filter_text = name
        if node is not None:
            words = f"```orch\n{header(node)}\n```" + (f"\n\n{node.doc}" if node.doc else "")
            item.documentation = lsp.MarkupContent(lsp.MarkupKind.Markdown, words)
        return item

    # ------------------------------------------------------------ expressions

    def _expression(self, plan: bool = False) -> Iterable[lsp.CompletionItem]:
        """Names and fields in an expression of a workflow."""
        start = self.offset - len(self.context.word)
        before = self.text[:start].rstrip()
        if before.endswith("|"):
            return self._filters()
        if re.search(r"\bis(\s+not)?\Z", before):
            ended = [self._item(word, _KIND.Function) for word in ("ok", "failed") if plan]
            return [*ended, *self._tests()]
        end = self.offset
        while end < len(self.text) and (self.text[end].isalnum() or self.text[end] == "_"):
            end += 1
        marked = f"{self.text[:start]}{MARK}{self.text[end:]}"
        return self._seen(look(self.project, self.analysis, self.source, marked))

    def _seen(self, seen: Seen) -> Iterator[lsp.CompletionItem]:
        if seen.beside is not None:
            for word in _literals(seen.beside):
                yield self._item(word, _KIND.EnumMember)
        if seen.owner is not None:
            yield from self._fields(seen.owner)
        own = {"loop", "param"}
        for name, type_ in seen.names.items():
            if name == "secret" and isinstance(type_, Record) is False:
                continue
            kind = _KIND.Keyword if name in own else _KIND.Variable
            snippet = None
            if isinstance(type_, Function):
                kind, snippet = _KIND.Function, f"{name}($0)"
            yield self._item(name, kind, detail=str(type_), snippet=snippet)

    def _fields(self, owner: Type) -> Iterator[lsp.CompletionItem]:
        options = tuple(option for option in open_up(owner) if not is_null(option))
        for name in field_names(options):
            declared: Field | None = None
            type_: Type | None = None
            for option in options:
                type_ = type_ or attribute_of(option, name)
                if isinstance(option, Record):
                    declared = declared or option.field(name)
            doc = declared.doc if declared is not None else None
            yield self._item(name, _KIND.Field, detail=str(type_) if type_ else None, doc=doc)

    def _filters(self) -> Iterator[lsp.CompletionItem]:
        for name in sorted(shared_environment().filters):
            if name not in REMOVED_FILTERS:
                yield self._item(name, _KIND.Function, detail="filter", doc=about_filter(name))

    def _tests(self) -> Iterator[lsp.CompletionItem]:
        for name in sorted(shared_environment().tests):
            if name.isidentifier():
                yield self._item(name, _KIND.Function, detail="test")

    # ------------------------------------------------------------ strings

    def _in_string(self) -> Iterable[lsp.CompletionItem]:
        context, string = self.context, self.context.string
        assert string is not None
        quote = 3 if string.kind == "text" else 1
        written = self.text[string.start + quote : self.offset]
        base_dir = self.scope.module.base_dir
        before = context.items[-1] if context.items else ""
        frame = context.frame
        if context.keyword in ("import", "from") and before == context.keyword:
            return self._paths(beside(self.project, base_dir, written, (".orch",)), written)
        if context.keyword == "schema" and before == "from":
            if "#" in written:
                return self._paths(pointers(self.project, base_dir, written), written)
            return self._paths(beside(self.project, base_dir, written, (".json",)), written)
        if frame is not None and frame.bracket == "(" and frame.header[-1:] == ["file"]:
            return self._paths(beside(self.project, base_dir, written, ()), written)
        row = None
        if context.body is not None and context.body.kind is not None and context.setting:
            row = context.body.kind.row(context.setting)
        if row is not None and isinstance(row.value, CallPath | Parse):
            return self._paths(calls(self.project, base_dir, written), written)
        if row is not None and row.name == "id":
            return self._paths(models(self.project, base_dir, written), written)
        is_text = row is not None and isinstance(row.value, Text)
        if is_text or context.keyword == "template" or "else" in context.items[-2:]:
            end = string.end - (quote if string.closed else 0)
            return self.in_template(string.start + quote, self.text[:end], end)
        return self._literal()

    def _paths(self, found: Iterable[str], written: str) -> Iterator[lsp.CompletionItem]:
        """Completions of a whole string, whatever the editor takes for a word."""
        start = self.offset - len(written)
        for name in found:
            kind = _KIND.Folder if name.endswith("/") else _KIND.File
            item = self._item(name, kind)
            item.text_edit = lsp.TextEdit(self.places.range(start, self.offset), name)
            item.filter_text = name
            yield item

    def _literal(self) -> Iterator[lsp.CompletionItem]:
        """A member of a union of literals: a default, an input of a test, a comparison."""
        string = self.context.string
        assert string is not None
        options = self._declared_options()
        if not options:
            marked = f'{self.text[: string.start]}"{MARK}"{self.text[string.end :]}'
            seen = look(self.project, self.analysis, self.source, marked)
            options = [] if seen.beside is None else [w[1:-1] for w in _literals(seen.beside)]
        written = self.text[string.start + 1 : self.offset]
        yield from self._paths(options, written)

    def _declared_options(self) -> list[str]:
        context = self.context
        items = context.items
        if "=" in items and ":" in items:
            at = len(items) - 1 - items[::-1].index(":")
            if "=" in items[at:] and "," not in items[at:]:
                return [i[1:-1] for i in items[at : items.index("=", at)] if i.startswith('"')]
        if context.keyword == "test" and len(items) >= 2 and items[-1] == ":":
            return list(self._test_options(items[-2].strip('"')))
        return []

    def _test_options(self, key: str) -> Iterator[str]:
        """The members of the type of an input of what is tested, or of a mocked output."""
        context = self.context
        head = context.head
        names = [head[head.index("for") + 1]] if "for" in head[:-1] else []
        inside = context.body
        if inside is not None and inside.header[:1] == ["mock"] and len(inside.header) > 1:
            names = [inside.header[1]]
        for name in names:
            entity = self.scope.names.get(name)
            node = None if entity is None else entity.declaration
            for item in () if node is None else getattr(node, "params", ()):
                if item.name.text == key:
                    yield from _written_literals(item.type)

    # ------------------------------------------------------------ templates

    def in_template(self, start: int, text: str, end: int) -> Iterable[lsp.CompletionItem]:
        """Inside `{{ }}` and `{% %}` of a template.

        Args:
            start: Where the template begins in the file.
            end: Where it ends; what is after that is kept.
        """
        before = text[start : self.offset]
        tag = inside_tag(before)
        if tag is None:
            return ()
        word = re.search(r"[^\W\d]?\w*\Z", before)
        head = before[: word.start()] if word is not None else before
        bare = head.rstrip()
        if bare.endswith("|"):
            return self._filters()
        if re.search(r"\bis(\s+not)?\Z", bare):
            return self._tests()
        if tag == "{%" and bare.endswith(("{%", "{%-")):
            return [self._item(w, _KIND.Keyword) for w in ("if", "for", "else", "elif", "endif",
                    "endfor", "set", "include", "macro", "with")]  # fmt: skip
        quoted = re.search(r"""(==|!=)\s*(["'])\w*\Z""", before)
        mark, closer = MARK, ""
        if quoted is not None:
            head, closer = before[: quoted.end(2)], quoted[2]
        marked = f"{head}{mark}{closer}"
        string = self.context.string
        rest = self.text[end:]
        if string is not None and self.source is self.analysis.module.source and not string.closed:
            rest = ('"""' if string.kind == "text" else '"') + rest
        whole = f"{self.text[:start]}{marked}{close_template(marked)}{rest}"
        seen = look(self.project, self.analysis, self.source, whole)
        if quoted is not None:
            options = [] if seen.beside is None else _literals(seen.beside)
            return [self._item(option[1:-1], _KIND.EnumMember) for option in options]
        return self._seen(seen)

    # ------------------------------------------------------------ items

    def _item(
        self,
        label: str,
        kind: lsp.CompletionItemKind,
        *,
        detail: str | None = None,
        doc: str | None = None,
        snippet: str | None = None,
    ) -> lsp.CompletionItem:
        item = lsp.CompletionItem(label=label, kind=kind, detail=detail)
        if doc:
            item.documentation = lsp.MarkupContent(lsp.MarkupKind.Markdown, doc)
        if snippet is not None and self.project.snippets:
            item.insert_text = snippet
            item.insert_text_format = lsp.InsertTextFormat.Snippet
        return item


def _in_assertion(items: list[str]) -> bool:
    """Whether the last member of a body is an assertion whose end is not certain."""
    for index in range(len(items) - 1, -1, -1):
        if items[index] == "assert":
            return items[-1] in ("|", ".", "==", "!=", "and", "or", "not", "is", "in", "<", ">",
                                 "<=", ">=", "+", "-", "~")  # fmt: skip
        if items[index] == "=":
            return False
    return False


def _literals(type_: Type) -> list[str]:
    """The words a type consists of, quoted."""
    return [str(o) for o in open_up(type_) if isinstance(o, Constant) and isinstance(o.value, str)]


def _written_literals(type_: ast.TypeExpr) -> Iterator[str]:
    if isinstance(type_, ast.LiteralType) and isinstance(type_.value, str):
        yield type_.value
    for option in getattr(type_, "options", ()):
        yield from _written_literals(option)
    item = getattr(type_, "item", None)
    if isinstance(item, ast.Node):
        yield from _written_literals(item)  # type: ignore[arg-type]
