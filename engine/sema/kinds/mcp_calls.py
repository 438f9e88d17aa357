"""Rules of `mcp` workers: the tool is allowed, the server has it, and the arguments fit it.

What a server offers is read from the snapshot next to the file that declares it
(`engine.sema.kinds.mcp_snapshot`); without one only `allow` can be checked. What may or may not fit
at run time is not reported here, only what never can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from engine.diagnostics import Diagnostic, Edit, Fix, diagnostic
from engine.diagnostics.rule import Rule
from engine.sema.kinds.mcp_snapshot import Servers, Tool, read_snapshot, snapshot_path
from engine.sema.names.loader import CannotRead, Files, outside_project
from engine.sema.names.scope import Entity
from engine.sema.settings.bodies import Settings
from engine.sema.suggest import closest, names_list
from engine.sema.templates.check_template import check_expression
from engine.sema.types.contract import Contract
from engine.sema.types.definitions import Field, Type
from engine.sema.types.json_schema import may_fit
from engine.source import Span
from engine.syntax import ast

__all__ = ["Snapshots", "check_tool"]


MCP_SNAPSHOT_UNREADABLE = Rule(
    code="ORC514",
    name="mcp-snapshot-unreadable",
    severity="error",
    summary="The kept tools of a file's MCP servers cannot be read.",
    why="The file of kept tools is written by the engine; make it again.",
    allowable=False,
)


class Snapshots:
    """The kept tools of the servers of a program, each file read once.

    Args:
        report: Told of a snapshot that cannot be read (ORC514).
    """

    def __init__(self, files: Files, report: Callable[[Diagnostic], None]) -> None:
        self._files = files
        self._report = report
        self._read: dict[str, Servers] = {}

    def tools(self, server: Entity) -> Mapping[str, Tool] | None:
        """The tools of a server, or None without a snapshot."""
        path = snapshot_path(server.module.path)
        if path not in self._read:
            self._read[path] = self._servers(path, server)
        return self._read[path].get(server.name)

    def _servers(self, path: str, server: Entity) -> Servers:
        try:
            return read_snapshot(self._files.read(path))
        except CannotRead as error:
            if error.reason == "does not exist":
                return {}
            if error.outside:
                name = self._files.shown(path)
                self._report(outside_project(name, server.name_span, error))
                return {}
            problem = f"it {error.reason}"
        except ValueError as error:
            problem = str(error)
        self._report(
            diagnostic(
                "ORC514",
                f"cannot read the tool snapshot of server `{server.name}`: {problem}",
                server.name_span,
                help=f"regenerate {self._files.shown(path)} with `orch mcp snapshot`",
            )
        )
        return {}


MCP_TOOL_NOT_ALLOWED = Rule(
    code="ORC507",
    name="mcp-tool-not-allowed",
    severity="error",
    summary="A tool is named that the server's `allow` list does not hold.",
    why="`allow` is the list a reviewer reads: what is not in it cannot be called.",
    bad="""\
server kb via mcp { command = ["kb"]  allow = ["find"] }
worker look(key: string) -> json via mcp { server = kb  tool = "drop"  effect = read }""",
    good="""\
server kb via mcp { command = ["kb"]  allow = ["find"] }
worker look(key: string) -> json via mcp { server = kb  tool = "find"  effect = read }""",
    allowable=True,
)

MCP_TOOL_UNKNOWN = Rule(
    code="ORC512",
    name="mcp-tool-unknown",
    severity="error",
    summary="A tool is named that the server did not have when its tools were last kept.",
    why="The tools of a server are kept in a file next to the program, and compared.",
    allowable=True,
)


def check_tool(
    node: ast.WorkerDecl,
    settings: Settings,
    inputs: Sequence[Field],
    names: Mapping[str, Type],
    snapshots: Snapshots,
) -> Iterator[Diagnostic]:
    """What is wrong with the tool a worker calls, and with how it calls it.

    Args:
        inputs: The worker's inputs, which are the arguments where `args` is not written.
        names: The type of every name that `args` may use.
    """
    server = settings.get("server")
    tool = settings.get("tool")
    if tool is None or not isinstance(server, Entity):
        return
    if not isinstance(server.declaration, ast.ServerDecl):
        return
    span = settings.spans["tool"]
    allowed = _allowed(server.declaration)
    if allowed is not None and tool not in allowed:
        message = f"`{tool}` is not in `allow` of server `{server.name}`"
        yield _misspelt("ORC507", message, tool, allowed, span, "allows")
        return
    known = snapshots.tools(server)
    if known is None:
        return
    if tool not in known:
        usable = [name for name in known if allowed is None or name in allowed]
        message = f"server `{server.name}` has no tool `{tool}`"
        yield _misspelt("ORC512", message, tool, usable, span, "has")
        return
    arguments = _Arguments(tool, known[tool].input_schema)
    args = settings.exprs.get("args")
    given: dict[str, tuple[Type, Span]] = {}
    if "args" not in settings.written:
        for field, param in zip(inputs, node.params, strict=False):
            given[field.name] = (field.type, param.name.span)
        yield from arguments.check(given, node.name.span)
    elif isinstance(args, ast.MapExpr):
        for entry in args.entries:
            # What is wrong inside was reported when `args` was read.
            type_ = check_expression(entry.value, names, lambda _: None)
            given[entry.key.text] = (type_, entry.key.span)
        yield from arguments.check(given, args.span)


def _allowed(server: ast.ServerDecl) -> list[str] | None:
    for member in server.body.members:
        if isinstance(member, ast.Setting) and member.name.text == "allow":
            if not isinstance(member.value, ast.ListExpr):
                return None
            return [item.value for item in member.value.items if isinstance(item, ast.String)]
    return None


def _misspelt(
    code: str, message: str, tool: str, known: list[str], span: Span, verb: str
) -> Diagnostic:
    near = closest(tool, known)
    return diagnostic(
        code,
        message,
        span,
        help=f"did you mean `{near}`?" if near else f"it {verb} {names_list(known) or 'nothing'}",
        # A near name may still be another tool, with other effects.
        fix=Fix(f"write `{near}`", (Edit(span, f'"{near}"'),), "unsafe") if near else None,
    )


MCP_ARGS_MISMATCH = Rule(
    code="ORC513",
    name="mcp-args-mismatch",
    severity="error",
    summary="The arguments of a call do not fit the tool, as its schema was last kept.",
    why="The tool's own schema, as it was kept, says what it takes.",
    allowable=True,
)


class _Arguments:
    """The arguments a tool takes, compared with those a worker gives."""

    def __init__(self, tool: str, schema: Mapping[str, Any]) -> None:
        self._tool = tool
        self._schema = schema
        properties = schema.get("properties")
        self._properties: Mapping[str, Any] = properties if isinstance(properties, dict) else {}
        required = schema.get("required")
        self._required = [str(name) for name in required] if isinstance(required, list) else []

    def check(self, given: Mapping[str, tuple[Type, Span]], place: Span) -> Iterator[Diagnostic]:
        """Compare; `place` is where a missing argument is reported."""
        for name in self._required:
            if name not in given:
                yield diagnostic(
                    "ORC513",
                    f"tool `{self._tool}` needs the argument `{name}`",
                    place,
                    help=self._signature(),
                )
        for name, (type_, span) in given.items():
            yield from self._one(name, type_, span)

    def _one(self, name: str, type_: Type, span: Span) -> Iterator[Diagnostic]:
        if name not in self._properties:
            if self._takes_others():
                return
            near = closest(name, self._properties)
            yield diagnostic(
                "ORC513",
                f"tool `{self._tool}` has no argument `{name}`",
                span,
                help=f"did you mean `{near}`?" if near else self._signature(),
            )
            return
        wanted = self._properties[name]
        if not isinstance(wanted, dict):
            return
        definitions = {k: self._schema[k] for k in ("$defs", "definitions") if k in self._schema}
        if not may_fit(Contract(type_).schema, {**definitions, **wanted}):
            yield diagnostic(
                "ORC513",
                f"argument `{name}` is `{type_}`, which tool `{self._tool}` never takes",
                span,
                help=f"it takes {_words(wanted)}",
            )

    def _takes_others(self) -> bool:
        """Whether the schema says itself that there may be further arguments."""
        if "properties" not in self._schema or self._schema.get("patternProperties"):
            return True
        others = self._schema.get("additionalProperties", False)
        return others is True or isinstance(others, dict)

    def _signature(self) -> str:
        if not self._properties:
            return "it takes no arguments"
        shown = [n if n in self._required else f"{n}?" for n in self._properties]
        return f"it takes {names_list(shown, 12)}"


def _words(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return " or ".join(str(item) for item in kind)
    if isinstance(kind, str):
        return kind
    if isinstance(schema.get("enum"), list):
        return names_list([str(item) for item in schema["enum"]], 8)
    return "something else"
