"""From Lark's parse tree to the frozen nodes of `engine.syntax.ast`, in one recursive walk.

Spans come from the first and last token of a node, so Lark need not propagate positions (a third
of its time). Doc comments are attached by position: a `///` belongs to the declaration or member
whose first token is the next one after it. Faults that the grammar cannot see, such as a bad
unit or escape, are reported here; the node is built anyway.

Invariant: a tree that Lark accepted always gives nodes, or `TooDeepError` for one declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from engine.diagnostics import Diagnostic, Edit, Fix, diagnostic
from engine.source import SourceFile, Span
from engine.syntax import ast
from engine.syntax.expressions import (
    BRACKET_COST,
    MAX_DEPTH,
    ExpressionBuilder,
    TooDeepError,
)
from engine.syntax.literals import Fault, read_number, read_string, read_text_block
from grammar import Token, Tree

__all__ = ["Builder"]

Part = Token | Tree


class Builder(ExpressionBuilder):
    """Builds declarations of one file.

    Args:
        source: The file.
        docs: Text of doc comments by the offset of the token they are before; what is used
            is taken out, so what remains documents nothing.
        found: Where diagnostics go.
        base: What to add to Lark's offsets, when Lark saw a part of the file only.
    """

    def __init__(
        self,
        source: SourceFile,
        docs: dict[int, str],
        found: list[Diagnostic],
        base: int = 0,
    ) -> None:
        self._source = source
        self._docs = docs
        self._found = found
        self.base = base
        self._declarations: dict[str, Callable[[Span, str | None, list[Part]], ast.Declaration]] = {
            "edition": self._edition,
            "import_as": self._import_as,
            "import_names": self._import_names,
            "param": self._param,
            "secret": self._secret,
            "schema_record": self._schema,
            "schema_external": self._schema,
            "schema_alias": self._schema,
            "model": self._model,
            "server": self._server,
            "template": self._template,
            "worker": self._callable,
            "verifier": self._callable,
            "orchestrator": self._callable,
            "test": self._test,
            "unknown": self._unknown,
        }

    def declarations(self, tree: Tree) -> list[ast.Declaration]:
        """Build every declaration of a whole tree; one that nests too deeply is left out."""
        built: list[ast.Declaration] = []
        for child in tree.children:
            assert isinstance(child, Tree)
            try:
                span = self._span_of_any(child)
                doc = self._docs.pop(span.start, None)
                built.append(self._declarations[child.data](span, doc, child.children))
            except TooDeepError as error:
                self.report(
                    f"nested more than {MAX_DEPTH // BRACKET_COST} levels deep",
                    error.span,
                    "split it into named parts",
                )
        return built

    # ------------------------------------------------------------ small things

    def report(
        self, message: str, span: Span, help: str | None = None, replacement: str | None = None
    ) -> None:
        """Note a syntax error; `replacement` would fix it safely."""
        fix = None
        if replacement is not None:
            fix = Fix(f"replace by `{replacement}`", (Edit(span, replacement),))
        self._found.append(diagnostic("ORC001", message, span, help=help, fix=fix))

    def span(self, start: int, end: int) -> Span:
        """A span from Lark's offsets."""
        return Span(self._source, self.base + start, self.base + end)

    def name(self, token: Part) -> ast.Name:
        """A name, or a dotted one from a `qualified` tree."""
        if isinstance(token, Token):
            return ast.Name(self._token_span(token), str(token))
        return ast.Name(self._span_of(token), "".join(str(part) for part in token.children))

    def string(self, token: Token) -> ast.String:
        """A quoted string or text block."""
        span = self._token_span(token)
        if token.type == "TEXT":
            value, offsets = read_text_block(str(token), span.start)
            return ast.String(span, value, True, offsets)
        value, offsets, faults = read_string(str(token), span.start)
        if len(faults) > 1 and all(fault.replacement for fault in faults):
            # A regular expression, say: one fault, however many backslashes it has.
            edits = tuple(
                Edit(span.sub(fault.start, fault.end), fault.replacement or "") for fault in faults
            )
            first = faults[0]
            fix = Fix("double the backslashes", edits)
            place = span.sub(first.start, first.end)
            message = f"{first.message}, and {len(faults) - 1} more"
            self._found.append(diagnostic("ORC001", message, place, help=first.help, fix=fix))
            return ast.String(span, value, False, offsets)
        for fault in faults:
            self._fault(fault, span)
        return ast.String(span, value, False, offsets)

    def number(self, token: Token) -> ast.Number | ast.Quantity:
        """A number with or without a unit."""
        span = self._token_span(token)
        value, fault = read_number(str(token))
        if fault:
            self._fault(fault, span)
        if value.unit is None:
            return ast.Number(span, value.value)
        return ast.Quantity(span, value.unit, value.value, str(token))

    def _fault(self, fault: Fault, span: Span) -> None:
        self.report(fault.message, span.sub(fault.start, fault.end), fault.help, fault.replacement)

    def _span_of_any(self, tree: Tree) -> Span:
        """The span of a tree whose last child may be an empty `constraints`."""
        first: Part = tree
        while not isinstance(first, Token):
            first = first.children[0]
        last: Part = tree
        while not isinstance(last, Token):
            children = last.children
            last = children[-1]
            if isinstance(last, Tree) and not last.children:
                last = children[-2]
        end = (last.start_pos or 0) + len(last)
        return self.span(first.start_pos or 0, end)

    # ------------------------------------------------------------ declarations

    def _edition(self, span: Span, doc: str | None, parts: list[Part]) -> ast.Declaration:
        number = self.number(_token(parts[1]))
        if isinstance(number, ast.Quantity) or not isinstance(number.value, int):
            self.report("the edition is a whole number, such as `orch 1`", number.span)
            return ast.Edition(span, doc, 1)
        return ast.Edition(span, doc, number.value)

    def _import_as(self, span: Span, doc: str | None, parts: list[Part]) -> ast.Declaration:
        return ast.Import(span, doc, self.string(_token(parts[1])), self.name(parts[3]))

    def _import_names(self, span: Span, doc: str | None, parts: list[Part]) -> ast.Declaration:
        names: list[ast.Alias] = []
        for part in parts[3:]:
            assert isinstance(part, Tree)
            name = self.name(part.children[0])
            local = self.name(part.children[2]) if len(part.children) == 3 else name
            names.append(ast.Alias(name.span.to(local.span), name, local))
        return ast.FromImport(span, doc, self.string(_token(parts[1])), tuple(names))

    def _param(self, span: Span, doc: str | None, parts: list[Part]) -> ast.Declaration:
        type_, constraints, default = self._typed(parts[2:], 0)
        return ast.ParamDecl(span, doc, self.name(parts[1]), type_, constraints, default)

    def _secret(self, span: Span, doc: str | None, parts: list[Part]) -> ast.Declaration:
        return ast.SecretDecl(span, doc, self.name(parts[1]))

    def _schema(self, span: Span, doc: str | None, parts: list[Part]) -> ast.Declaration:
        name = self.name(parts[1])
        last = parts[-1]
        if isinstance(last, Token):
            path = self.string(last)
            external = ast.ExternalSchema(_token_span_of(self, parts[2]).to(path.span), path)
            return ast.SchemaDecl(span, doc, name, external, ())
        if last.data == "record_body":
            return ast.SchemaDecl(span, doc, name, self._record_body(last), ())
        type_ = self._type(parts[2], 0)
        return ast.SchemaDecl(span, doc, name, type_, self._constraints(last))

    def _record_body(self, tree: Tree) -> ast.RecordBody:
        fields: list[ast.FieldDecl] = []
        assertions: list[ast.Assertion] = []
        for child in tree.children:
            if isinstance(child, Token):
                continue
            if child.data == "field":
                fields.append(self._field(child, 1))
            else:
                assertions.append(self._assertion(child, 1))
        return ast.RecordBody(self._span_of(tree), tuple(fields), tuple(assertions))

    def _model(self, span: Span, doc: str | None, parts: list[Part]) -> ast.Declaration:
        return ast.ModelDecl(span, doc, self.name(parts[1]), self._body(parts[2], 0))

    def _server(self, span: Span, doc: str | None, parts: list[Part]) -> ast.Declaration:
        return ast.ServerDecl(
            span, doc, self.name(parts[1]), self.name(parts[3]), self._body(parts[4], 0)
        )

    def _template(self, span: Span, doc: str | None, parts: list[Part]) -> ast.Declaration:
        params = self._inputs(parts[2]) if len(parts) == 4 else ()
        return ast.TemplateDecl(span, doc, self.name(parts[1]), params, self._default(parts[-1], 0))

    def _callable(self, span: Span, doc: str | None, parts: list[Part]) -> ast.Declaration:
        name = self.name(parts[1])
        params = self._inputs(parts[2])
        body = self._body(parts[-1], 0)
        keyword = _token(parts[0]).type
        if keyword == "VERIFIER":
            return ast.VerifierDecl(span, doc, name, params, self.name(parts[4]), body)
        output = self._type(parts[3], 0)
        constraints = self._constraints(parts[4])
        fails: tuple[ast.Name, ...] = ()
        if isinstance(clause := parts[5], Tree) and clause.data == "fails":
            fails = tuple(self.name(part) for part in clause.children[1:])
        if keyword == "ORCHESTRATOR":
            return ast.OrchestratorDecl(span, doc, name, params, output, constraints, fails, body)
        kind = self.name(parts[-2])
        return ast.WorkerDecl(span, doc, name, params, output, constraints, fails, kind, body)

    def _test(self, span: Span, doc: str | None, parts: list[Part]) -> ast.Declaration:
        title = self.string(_token(parts[1]))
        return ast.TestDecl(span, doc, title, self.name(parts[3]), self._body(parts[4], 0))

    def _unknown(self, span: Span, doc: str | None, parts: list[Part]) -> ast.Declaration:
        name = None
        if len(parts) > 1 and isinstance(second := parts[1], Token):
            if second.type in ("STRING", "TEXT"):
                for part in parts[2:]:
                    if isinstance(part, Tree) and part.data == "qualified":
                        name = self.name(part)
            elif second.type != "NUMBER":
                name = self.name(second)
        return ast.UnknownDecl(span, doc, self.name(parts[0]), name)

    # ------------------------------------------------------------ types

    def _inputs(self, tree: Part) -> tuple[ast.FieldDecl, ...]:
        assert isinstance(tree, Tree)
        return tuple(self._field(child, 0) for child in tree.children if isinstance(child, Tree))

    def _field(self, tree: Tree, depth: int) -> ast.FieldDecl:
        span = self._span_of_any(tree)
        doc = self._docs.pop(span.start, None)
        name = self.name(tree.children[0])
        type_, constraints, default = self._typed(tree.children[1:], depth)
        return ast.FieldDecl(span, name, type_, constraints, default, doc)

    def _typed(
        self, parts: Sequence[Part], depth: int
    ) -> tuple[ast.TypeExpr, tuple[ast.Constraint, ...], ast.Expr | None]:
        """What follows `name:`: a type, constraints, and maybe a default with constraints."""
        type_ = self._type(parts[0], depth)
        constraints = self._constraints(parts[1])
        if len(parts) == 2:
            return type_, constraints, None
        default = self._default(parts[2], depth)
        return type_, constraints + self._constraints(parts[3]), default

    def _default(self, tree: Part, depth: int) -> ast.Expr:
        assert isinstance(tree, Tree)
        return self.expression(tree.children[0], depth)

    def _type(self, node: Part, depth: int) -> ast.TypeExpr:
        assert isinstance(node, Tree)
        if depth > MAX_DEPTH:
            raise TooDeepError(self._span_of_any(node))
        suffixes: list[Tree] = []
        while node.data in ("array", "optional"):
            suffixes.append(node)
            inner = node.children[0]
            assert isinstance(inner, Tree)
            node = inner
        depth += len(suffixes)
        if depth > MAX_DEPTH:
            raise TooDeepError(self._span_of_any(node))
        span = self._span_of_any(node)
        built: ast.TypeExpr
        if node.data == "named":
            built = ast.NamedType(span, "".join(str(part) for part in node.children))
        elif node.data == "literal":
            built = self._literal(span, node.children)
        elif node.data == "record":
            fields = (child for child in node.children if isinstance(child, Tree))
            built = ast.RecordType(
                span, tuple(self._field(child, depth + BRACKET_COST) for child in fields)
            )
        else:
            options = tuple(self._type(child, depth + BRACKET_COST) for child in node.children)
            built = ast.UnionType(span, options)
        for suffix in reversed(suffixes):
            whole = span.to(_token_span_of(self, suffix.children[-1]))
            if suffix.data == "array":
                built = ast.ArrayType(whole, built)
            else:
                built = ast.OptionalType(whole, built)
        return built

    def _literal(self, span: Span, parts: list[Part]) -> ast.LiteralType:
        token = _token(parts[-1])
        if token.type in ("STRING", "TEXT"):
            return ast.LiteralType(span, self.string(token).value)
        if token.type == "NUMBER":
            number = self.number(token)
            if isinstance(number, ast.Quantity):
                self.report("a literal type is a plain number, without a unit", number.span)
            value = -number.value if len(parts) == 2 else number.value
            return ast.LiteralType(span, value)
        return ast.LiteralType(span, {"TRUE": True, "FALSE": False, "NULL": None}[token.type])

    def _constraints(self, tree: Part) -> tuple[ast.Constraint, ...]:
        assert isinstance(tree, Tree)
        return tuple(self._constraint(child) for child in tree.children if isinstance(child, Tree))

    def _constraint(self, tree: Tree) -> ast.Constraint:
        args: list[tuple[ast.Name | None, ast.Expr]] = []
        for child in tree.children[2:]:
            if isinstance(child, Token):
                continue
            key = self.name(child.children[0]) if len(child.children) == 3 else None
            args.append((key, self.expression(child.children[-1], BRACKET_COST)))
        return ast.Constraint(self._span_of(tree), self.name(tree.children[1]), tuple(args))

    # ------------------------------------------------------------ bodies

    def _body(self, tree: Part, depth: int) -> ast.Body:
        assert isinstance(tree, Tree)
        span = self._span_of(tree)
        if depth > MAX_DEPTH:
            raise TooDeepError(span)
        return ast.Body(span, tuple(self._members(tree.children, depth + BRACKET_COST)))

    def _members(self, parts: Iterable[Part], depth: int) -> Iterable[ast.Member]:
        for child in parts:
            if isinstance(child, Token):
                continue
            kind = child.data
            if kind == "setting":
                name = self.name(child.children[0])
                value = self.expression(child.children[1], depth)
                doc = self._docs.pop(name.span.start, None)
                yield ast.Setting(name.span.to(value.span), name, value, doc)
            elif kind == "block":
                name = self.name(child.children[0])
                doc = self._docs.pop(name.span.start, None)
                labels = tuple(self.name(label) for label in child.children[1:-1])
                body = self._body(child.children[-1], depth)
                yield ast.Block(name.span.to(body.span), name, labels, body, doc)
            elif kind == "assertion":
                yield self._assertion(child, depth)
            else:
                number = self.number(_token(child.children[0]))
                value = self.expression(child.children[1], depth)
                doc = self._docs.pop(number.span.start, None)
                if isinstance(number, ast.Quantity) or not isinstance(number.value, int):
                    self.report("a numbered setting begins with a whole number", number.span)
                    continue
                yield ast.NumberedSetting(number.span.to(value.span), number.value, value, doc)

    def _assertion(self, tree: Tree, depth: int) -> ast.Assertion:
        parts = tree.children
        start = _token_span_of(self, parts[0])
        doc = self._docs.pop(start.start, None)
        test = self.expression(parts[1], depth)
        message = self.expression(parts[3], depth) if len(parts) == 4 else None
        return ast.Assertion(start.to((message or test).span), test, message, doc)


def _token(part: Part) -> Token:
    assert isinstance(part, Token)
    return part


def _token_span_of(builder: Builder, part: Part) -> Span:
    return builder._token_span(_token(part))
