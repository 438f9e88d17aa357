"""The server: which request is answered by which feature, and when findings are published.

Texts are kept by `Documents` alone (pygls would keep them too, and splits lines at more characters
than the protocol does). A change only marks that findings are due; they are published when no
further change has come for a moment, so checks that are overtaken are never made. Requests look at
the text as it is and need not wait for that.

Whatever a feature raises is answered as an error of that request and told on stderr: the server
continues.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import os
import sys
import traceback
from collections.abc import Callable
from itertools import count
from typing import Any, TypeVar

from lsprotocol import types as lsp
from pygls.exceptions import FeatureRequestError, JsonRpcException, JsonRpcInternalError
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol, default_converter, lsp_method

from engine.lsp import actions, completion, semantic_tokens, signature
from engine.lsp.definition import definition
from engine.lsp.diagnostics import by_document
from engine.lsp.folding import folding_ranges
from engine.lsp.formatting import formatting
from engine.lsp.hover import hover
from engine.lsp.inlay_hints import inlay_hints
from engine.lsp.lenses import (
    RUN_TEST,
    SHOW_GRAPH,
    CannotDo,
    code_lenses,
    run_test,
    show_graph,
)
from engine.lsp.project import Analysis, Project
from engine.lsp.references import highlights, references
from engine.lsp.rename import CannotRename, prepare, rename
from engine.lsp.symbols import document_symbols, workspace_symbols
from engine.sema.names.loader import CannotRead
from engine.source import SourceFile
from engine.version import __version__
from grammar import load_fast_parser

__all__ = ["serve"]

_log = logging.getLogger(__name__)

#: How long to wait after a change for the next one, before anything is checked.
_SETTLED_S = 0.04

#: When nothing has changed for so long, there is time to collect garbage; after so many checks
#: (10 ms and a few megabytes each, for 1,000 lines) it is collected in any case.
_IDLE_S = 0.2
_MAX_UNCOLLECTED = 20

#: The files whose changes on disk can change what a check finds.
_WATCHED = "**/*.{orch,j2,jinja,jinja2,md,txt,json,py,toml}"

T = TypeVar("T")


class _RequestFailed(JsonRpcException):
    """A request that is right but cannot be done; the message is for the person."""

    CODE = -32803


class _Protocol(LanguageServerProtocol):
    """The protocol, with texts kept by us."""

    @lsp_method(lsp.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: lsp.DidOpenTextDocumentParams) -> None:
        """A document is open from now on."""
        _of(self).opened(params)

    @lsp_method(lsp.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: lsp.DidChangeTextDocumentParams) -> None:
        """A document has another text."""
        _of(self).changed(params)

    @lsp_method(lsp.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: lsp.DidCloseTextDocumentParams) -> None:
        """A document is not open any more."""
        _of(self).closed(params)

    def structure_message(self, data: dict[str, Any]) -> Any:
        """A message as its class; a request that is none is answered anyway."""
        try:
            return super().structure_message(data)
        except JsonRpcException as problem:
            if "id" in data and "method" in data:
                self._send_response(data["id"], error=problem.to_response_error())
            raise

    @property
    def was_shut_down(self) -> bool:
        """Whether the client has said that it is done."""
        return bool(self._shutdown)


class _Server(LanguageServer):
    """The state of one editor's session."""

    def __init__(self) -> None:
        super().__init__(
            "orch", __version__, protocol_cls=_Protocol, converter_factory=default_converter
        )
        self.project = Project()
        self._timer: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._uncollected = 0
        self._published: dict[str, list[lsp.Diagnostic]] = {}
        self._due: set[str] = set()
        self._tokens: dict[str, tuple[str, list[int]]] = {}
        self._serials = count(1)
        _register(self)

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Tell an error that no request waits for."""
        if source is not FeatureRequestError:
            _log.error("%s", error)

    # ------------------------------------------------------------ the session

    def started(self, params: lsp.InitializeParams) -> None:
        """What the client can do, and which folders it has open."""
        project = self.project
        project.documents.encoding = (
            self.workspace.position_encoding or lsp.PositionEncodingKind.Utf16
        )
        uris = [folder.uri for folder in params.workspace_folders or ()]
        if not uris and params.root_uri:
            uris = [params.root_uri]
        project.folders = [project.documents.path(uri) for uri in uris]
        if project.folders:
            project.documents.root = project.folders[0]
        text = params.capabilities.text_document
        item = text and text.completion and text.completion.completion_item
        project.snippets = bool(item and item.snippet_support)

    def ready(self) -> None:
        """Ask for notifications of changes on disk, and settle in."""
        workspace = self.client_capabilities.workspace
        watched = workspace and workspace.did_change_watched_files
        if watched and watched.dynamic_registration:
            options = lsp.DidChangeWatchedFilesRegistrationOptions(
                [lsp.FileSystemWatcher(glob_pattern=_WATCHED)]
            )
            self.client_register_capability(
                lsp.RegistrationParams(
                    [
                        lsp.Registration(
                            "orch-watch", lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES, options
                        )
                    ]
                )
            )
        load_fast_parser()
        # All that is loaded by now stays, and what a check leaves is collected when nothing waits
        # for findings: the collector's rounds would take a tenth of each check, and now and then
        # 150 ms at once.
        gc.collect()
        gc.freeze()
        gc.disable()

    # ------------------------------------------------------------ documents

    def opened(self, params: lsp.DidOpenTextDocumentParams) -> None:
        """A document was opened."""
        item = params.text_document
        self.project.documents.open(item.uri, item.version, item.text)
        self.due(item.uri)

    def changed(self, params: lsp.DidChangeTextDocumentParams) -> None:
        """A document was changed."""
        item = params.text_document
        self.project.documents.change(item.uri, item.version, list(params.content_changes))
        self.due(item.uri)

    def closed(self, params: lsp.DidCloseTextDocumentParams) -> None:
        """A document was closed."""
        uri = params.text_document.uri
        document = self.project.documents.close(uri)
        self._tokens.pop(uri, None)
        if document is not None:
            self.project.close(document.path)
        self.due()

    def due(self, uri: str | None = None) -> None:
        """Findings have to be published again, those of a document in any case."""
        if uri is not None:
            self._due.add(uri)
        if self._timer is not None:
            self._timer.cancel()
        if self._idle is not None:
            self._idle.cancel()
        self._timer = asyncio.get_running_loop().call_later(_SETTLED_S, self._publish)

    def _publish(self) -> None:
        self._timer = None
        self._uncollected += 1
        wait_s = _IDLE_S if self._uncollected < _MAX_UNCOLLECTED else 0
        self._idle = asyncio.get_running_loop().call_later(wait_s, self._collect)
        try:
            found = self._findings()
        except Exception:
            # A bug in orch: what was published stays, and the next change tries again.
            _log.error("a check failed\n%s", traceback.format_exc())
            return
        for uri, items in found.items():
            known = self._published.get(uri)
            if uri in self._due or (items != known and (items or known)):
                document = self.project.documents.get(uri)
                self.text_document_publish_diagnostics(
                    lsp.PublishDiagnosticsParams(
                        uri, items, None if document is None else document.version
                    )
                )
        self._published = {uri: items for uri, items in found.items() if items}
        self._due.clear()
        notes, self.project.notes = self.project.notes, []
        for note in notes:
            self.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Warning, note))

    def _collect(self) -> None:
        self._idle = None
        self._uncollected = 0
        gc.collect()

    def _findings(self) -> dict[str, list[lsp.Diagnostic]]:
        """What is to be published, by URI; nothing for those that had something before."""
        project = self.project
        analyses: list[Analysis] = []
        for document in project.documents.all():
            if document.is_orch:
                analysis = project.analysis(document.path)
                if analysis is not None:
                    analyses.append(analysis)
        # Those to be cleared first: a client may take two spellings of a URI for one document.
        cleared: dict[str, list[lsp.Diagnostic]] = {uri: [] for uri in self._published}
        found = {**cleared, **by_document(project, analyses)}
        for uri in self._due:
            found.setdefault(uri, [])
        return found

    # ------------------------------------------------------------ what requests need

    def program(self, uri: str) -> tuple[Analysis, SourceFile] | None:
        """The program a document belongs to, and the document as a file of it."""
        path = self.project.documents.path(uri)
        analysis = self.project.program_of(path)
        if analysis is None:
            return None
        if path == analysis.path:
            return analysis, analysis.module.source
        try:
            return analysis, SourceFile(path, self.project.documents.read(path))
        except CannotRead:
            return None

    def place(
        self, uri: str, position: lsp.Position
    ) -> tuple[Project, Analysis, SourceFile, int] | None:
        """The place a request is about."""
        found = self.program(uri)
        if found is None:
            return None
        analysis, source = found
        return self.project, analysis, source, analysis.places(source).offset(position)

    def workflow(self, uri: str) -> Analysis | None:
        """The analysis of a document that is a workflow itself."""
        path = self.project.documents.path(uri)
        return self.project.analysis(path) if path.endswith(".orch") else None

    def tokens(self, uri: str) -> tuple[str, list[int]]:
        """The tokens of a document, with a new name for them."""
        found = self.program(uri)
        data = [] if found is None else semantic_tokens.semantic_tokens(*found)
        self._tokens[uri] = str(next(self._serials)), data
        return self._tokens[uri]

    def tokens_before(self, uri: str, name: str) -> list[int] | None:
        """The tokens that were sent under a name, if they are the last."""
        known = self._tokens.get(uri)
        return known[1] if known is not None and known[0] == name else None


def _of(protocol: _Protocol) -> _Server:
    server = protocol._server
    assert isinstance(server, _Server)
    return server


def _guarded(handler: Callable[..., T]) -> Callable[..., T]:
    """A handler whose exceptions become errors of the protocol."""

    @functools.wraps(handler)
    def guarded(*args: Any) -> T:
        try:
            return handler(*args)
        except Exception as problem:
            raise _as_error(problem) from None

    return guarded


def _as_error(problem: Exception) -> JsonRpcException:
    if isinstance(problem, JsonRpcException):
        return problem
    if isinstance(problem, CannotRename | CannotDo):
        return _RequestFailed(str(problem))
    _log.error("a request failed\n%s", "".join(traceback.format_exception(problem)))
    return JsonRpcInternalError(f"{type(problem).__name__}: {problem}")


def _register(server: _Server) -> None:
    """Say which feature answers which request."""

    def on(method: str, options: Any = None) -> Callable[[Callable[..., Any]], None]:
        def register(handler: Callable[..., Any]) -> None:
            server.feature(method, options)(_guarded(handler))

        return register

    on(lsp.INITIALIZE)(server.started)
    on(lsp.INITIALIZED)(lambda params: server.ready())
    _on_changes(server, on)
    _on_places(server, on)
    _on_documents(server, on)
    _on_commands(server)


_On = Callable[..., Callable[[Callable[..., Any]], None]]


def _on_changes(server: _Server, on: _On) -> None:
    def changed_on_disk(params: Any) -> None:
        server.project.forget()
        server.due()

    def folders_changed(params: lsp.DidChangeWorkspaceFoldersParams) -> None:
        project = server.project
        gone = {project.documents.path(folder.uri) for folder in params.event.removed}
        come = [project.documents.path(folder.uri) for folder in params.event.added]
        project.folders = [f for f in project.folders if f not in gone] + come
        if project.folders:
            project.documents.root = project.folders[0]
        changed_on_disk(params)

    on(lsp.TEXT_DOCUMENT_DID_SAVE)(changed_on_disk)
    on(lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES)(changed_on_disk)
    on(lsp.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)(folders_changed)


def _on_places(server: _Server, on: _On) -> None:
    """Requests about a place in a document."""

    def at(params: Any) -> tuple[Project, Analysis, SourceFile, int] | None:
        return server.place(params.text_document.uri, params.position)

    def on_hover(params: lsp.HoverParams) -> lsp.Hover | None:
        place = at(params)
        return None if place is None else hover(*place[1:])

    def on_definition(
        params: lsp.DefinitionParams,
    ) -> list[lsp.LocationLink] | list[lsp.Location] | None:
        place = at(params)
        links = [] if place is None else definition(*place)
        text = server.client_capabilities.text_document
        if text is not None and text.definition is not None and text.definition.link_support:
            return links
        return [lsp.Location(link.target_uri, link.target_selection_range) for link in links]

    def on_references(params: lsp.ReferenceParams) -> list[lsp.Location]:
        place = at(params)
        declaration = params.context.include_declaration
        return [] if place is None else references(*place, declaration)

    def on_highlight(params: lsp.DocumentHighlightParams) -> list[lsp.DocumentHighlight]:
        place = at(params)
        return [] if place is None else highlights(*place[1:])

    def on_prepare(params: lsp.PrepareRenameParams) -> lsp.PrepareRenamePlaceholder:
        place = at(params)
        if place is None:
            raise CannotRename("this file belongs to no workflow")
        _, analysis, source, offset = place
        use = prepare(analysis, source, offset)
        return lsp.PrepareRenamePlaceholder(
            analysis.places(source).range(use.start, use.end), use.target.name
        )

    def on_rename(params: lsp.RenameParams) -> lsp.WorkspaceEdit:
        place = at(params)
        if place is None:
            raise CannotRename("this file belongs to no workflow")
        return rename(*place, params.new_name)

    def on_completion(params: lsp.CompletionParams) -> lsp.CompletionList:
        place = at(params)
        items = [] if place is None else completion.complete(*place)
        return lsp.CompletionList(is_incomplete=False, items=items)

    def on_signature(params: lsp.SignatureHelpParams) -> lsp.SignatureHelp | None:
        place = at(params)
        return None if place is None else signature.signature_help(*place[1:])

    on(lsp.TEXT_DOCUMENT_HOVER)(on_hover)
    on(lsp.TEXT_DOCUMENT_DEFINITION)(on_definition)
    on(lsp.TEXT_DOCUMENT_REFERENCES)(on_references)
    on(lsp.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT)(on_highlight)
    on(lsp.TEXT_DOCUMENT_PREPARE_RENAME)(on_prepare)
    on(lsp.TEXT_DOCUMENT_RENAME, lsp.RenameOptions(prepare_provider=True))(on_rename)
    on(
        lsp.TEXT_DOCUMENT_COMPLETION,
        lsp.CompletionOptions(trigger_characters=completion.TRIGGERS),
    )(on_completion)
    on(
        lsp.TEXT_DOCUMENT_SIGNATURE_HELP,
        lsp.SignatureHelpOptions(trigger_characters=signature.TRIGGERS),
    )(on_signature)


def _on_documents(server: _Server, on: _On) -> None:
    """Requests about a whole document, and about the workspace."""

    def on_actions(params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
        analysis = server.workflow(params.text_document.uri)
        if analysis is None:
            return []
        only = params.context.only
        kinds = None if only is None else [str(getattr(kind, "value", kind)) for kind in only]
        return actions.code_actions(server.project, analysis, params.range, kinds)

    def on_formatting(params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit] | None:
        analysis = server.workflow(params.text_document.uri)
        return None if analysis is None else formatting(analysis)

    def on_symbols(params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
        analysis = server.workflow(params.text_document.uri)
        return [] if analysis is None else document_symbols(analysis)

    def on_workspace_symbols(params: lsp.WorkspaceSymbolParams) -> list[lsp.WorkspaceSymbol]:
        return workspace_symbols(server.project, params.query)

    def on_tokens(params: lsp.SemanticTokensParams) -> lsp.SemanticTokens:
        name, data = server.tokens(params.text_document.uri)
        return lsp.SemanticTokens(data, name)

    def on_tokens_delta(
        params: lsp.SemanticTokensDeltaParams,
    ) -> lsp.SemanticTokens | lsp.SemanticTokensDelta:
        uri = params.text_document.uri
        before = server.tokens_before(uri, params.previous_result_id)
        name, data = server.tokens(uri)
        if before is None:
            return lsp.SemanticTokens(data, name)
        return lsp.SemanticTokensDelta(semantic_tokens.changes(before, data), name)

    def on_hints(params: lsp.InlayHintParams) -> list[lsp.InlayHint]:
        analysis = server.workflow(params.text_document.uri)
        if analysis is None:
            return []
        places = analysis.places(analysis.module.source)
        start, end = places.offset(params.range.start), places.offset(params.range.end)
        return inlay_hints(analysis, start, end)

    def on_lenses(params: lsp.CodeLensParams) -> list[lsp.CodeLens]:
        analysis = server.workflow(params.text_document.uri)
        return [] if analysis is None else code_lenses(server.project, analysis)

    def on_folding(params: lsp.FoldingRangeParams) -> list[lsp.FoldingRange]:
        analysis = server.workflow(params.text_document.uri)
        return [] if analysis is None else folding_ranges(analysis)

    kinds = [lsp.CodeActionKind.QuickFix, actions.FIX_ALL]
    on(lsp.TEXT_DOCUMENT_CODE_ACTION, lsp.CodeActionOptions(code_action_kinds=kinds))(on_actions)
    on(lsp.TEXT_DOCUMENT_FORMATTING)(on_formatting)
    on(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)(on_symbols)
    on(lsp.WORKSPACE_SYMBOL)(on_workspace_symbols)
    on(lsp.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, semantic_tokens.LEGEND)(on_tokens)
    on(lsp.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL_DELTA, semantic_tokens.LEGEND)(on_tokens_delta)
    on(lsp.TEXT_DOCUMENT_INLAY_HINT)(on_hints)
    on(lsp.TEXT_DOCUMENT_CODE_LENS)(on_lenses)
    on(lsp.TEXT_DOCUMENT_FOLDING_RANGE)(on_folding)


def _on_commands(server: _Server) -> None:
    async def on_run_test(uri: str, title: str) -> dict[str, Any]:
        try:
            return await run_test(server.project, uri, title)
        except Exception as problem:
            raise _as_error(problem) from None

    def on_show_graph(uri: str, *names: str) -> dict[str, str]:
        try:
            return show_graph(server.project, uri, names[0] if names else None)
        except Exception as problem:
            raise _as_error(problem) from None

    server.command(RUN_TEST)(on_run_test)
    server.command(SHOW_GRAPH)(on_show_graph)


def serve() -> int:
    """Speak the protocol on stdin and stdout until the client ends it.

    Returns:
        0 if the client has shut the server down as it should, else 1.
    """
    logging.basicConfig(level=logging.WARNING, format="orch lsp: %(message)s")
    # We report why requests fail, without the library's own traceback.
    logging.getLogger("pygls").setLevel(logging.CRITICAL)
    server = _Server()
    # The protocol gets a stdout of its own, which pygls closes; whatever else prints goes to
    # stderr instead of between two messages.
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    server.start_io(sys.stdin.buffer, output)
    protocol = server.protocol
    assert isinstance(protocol, _Protocol)
    return 0 if protocol.was_shut_down else 1
