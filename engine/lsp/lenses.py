"""Code lenses, and what happens when one is clicked: run a test, show the graph.

A test runs in a process of its own, as `orch test` would run it: the code of a project is never
imported into the server, and what hangs can be stopped. It reads the files on disk.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from lsprotocol import types as lsp

from engine.graph.build import collect
from engine.graph.svg import to_svg
from engine.graph.text import to_dot, to_mermaid
from engine.lsp.project import Analysis, Project
from engine.own import own_command
from engine.syntax import ast

__all__ = ["RUN_TEST", "SHOW_GRAPH", "CannotDo", "code_lenses", "run_test", "show_graph"]

RUN_TEST = "orch.runTest"
SHOW_GRAPH = "orch.showGraph"


class CannotDo(Exception):
    """Why a command cannot run, in a sentence."""


def code_lenses(project: Project, analysis: Analysis) -> list[lsp.CodeLens]:
    """Above each test one that runs it, above each orchestrator one that shows its graph."""
    source = analysis.module.source
    uri = project.documents.uri(source.path)
    places = analysis.places(source)
    found = []
    for node in analysis.document.declarations:
        if isinstance(node, ast.TestDecl):
            command = lsp.Command("Run test", RUN_TEST, arguments=[uri, node.title.value])
        elif isinstance(node, ast.OrchestratorDecl):
            command = lsp.Command("Show graph", SHOW_GRAPH, arguments=[uri, node.name.text])
        else:
            continue
        at = places.position(node.span.start)
        found.append(lsp.CodeLens(lsp.Range(at, at), command=command))
    return found


async def run_test(project: Project, uri: str, title: str) -> dict[str, Any]:
    """Run the tests of a title: what `orch test` says of them, as data and as `text`.

    Raises:
        CannotDo: If it is not saved, or the tests could not be run.
    """
    path = project.documents.path(uri)
    document = project.documents.get(uri)
    if not os.path.isfile(path):
        raise CannotDo("save the file first: tests run what is on disk")
    process = await asyncio.create_subprocess_exec(
        *own_command("engine.cli"),
        *("test", path, "-k", title, "--format", "json"),
        cwd=os.path.dirname(path),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, problems = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    words = problems.decode(errors="replace").strip()
    if process.returncode not in (0, 1):
        raise CannotDo(words or "the tests could not be run")
    report = json.loads(output)
    with open(path, "rb") as file:
        saved = file.read().decode("utf-8-sig", errors="replace")
    results = [item for item in report if item.get("title") == title]
    return {
        "passed": bool(results) and all(item.get("outcome") == "passed" for item in results),
        "saved": document is None or document.text == saved,
        "results": results,
        "text": "\n".join(map(_told, results)) or words or f"there is no test `{title}`",
    }


def _told(result: dict[str, Any]) -> str:
    """One test's result, for a person."""
    lines = [f"{result['outcome']}: {result['title']} ({result['ms']:.0f} ms)"]
    for finding in result["findings"]:
        lines.append(f"  {finding['file']}:{finding['line']}: {finding['message']}")
        lines += [f"    {v['expression']} = {json.dumps(v['value'])}" for v in finding["values"]]
    return "\n".join(lines + [f"  {line}" for line in result["story"]])


def show_graph(project: Project, uri: str, name: str | None) -> dict[str, str]:
    """The graph of a workflow as it is in the editor: `text` is Mermaid, `dot` and `svg` too.

    Args:
        name: Only what this orchestrator can reach.

    Raises:
        CannotDo: If the file has errors, or has no such orchestrator.
    """
    analysis = project.analysis(project.documents.path(uri))
    program = None if analysis is None else analysis.result.program
    if program is None:
        raise CannotDo("the file has errors; there is no graph until it checks")
    graph = collect(program)
    if name is not None:
        if name not in program.orchestrators:
            raise CannotDo(f"there is no orchestrator `{name}`")
        graph = graph.part(name)
    title = f"The workflow {name or program.entry or os.path.basename(program.path)}"
    return {
        "title": title,
        "text": to_mermaid(graph),
        "dot": to_dot(graph),
        "svg": to_svg(graph, title),
    }
