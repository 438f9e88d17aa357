"""Completions inside strings that name something outside: files, functions, models."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from engine.lsp.project import Project
from engine.prices import models_of, providers
from engine.sema.kinds.python_calls import functions_of, modules_beside
from engine.sema.names.loader import CannotRead

__all__ = ["beside", "calls", "models", "pointers"]

#: Ids of models that need no provider.
_SCHEMES = ("scripted/", "recorded/", "python/", "local/")


def beside(
    project: Project, base_dir: str, written: str, endings: tuple[str, ...]
) -> Iterator[str]:
    """The files and folders a path that is being written may lead to.

    Args:
        endings: What files have to end with; () for any.
    """
    prefix = written[: written.rfind("/") + 1]
    folder = os.path.normpath(os.path.join(base_dir, prefix))
    if not project.may_read(folder, base_dir):
        return
    for name in project.documents.names(folder):
        if name.startswith("."):
            continue
        if os.path.isdir(os.path.join(folder, name)):
            if name != "__pycache__":
                yield f"{prefix}{name}/"
        elif not endings or name.endswith(endings):
            yield prefix + name


def pointers(project: Project, base_dir: str, written: str) -> Iterator[str]:
    """The named definitions of a JSON Schema file."""
    name = written.partition("#")[0]
    path = os.path.normpath(os.path.join(base_dir, name))
    if not project.may_read(path, base_dir):
        return
    try:
        text = project.documents.read(path)
        document = json.loads(text)
    except (CannotRead, ValueError, RecursionError):
        return
    for key in ("$defs", "definitions"):
        inner = document.get(key) if isinstance(document, dict) else None
        for each in inner if isinstance(inner, dict) else ():
            yield f"{name}#/{key}/{each}"


def calls(project: Project, base_dir: str, written: str) -> Iterator[str]:
    """The modules, or the functions of a module, next to a file."""
    module, colon, _ = written.partition(":")
    if colon:
        for function in functions_of(module, base_dir, project.documents.project(base_dir)):
            if not function.startswith("_"):
                yield f"{module}:{function}"
        return
    parent = module.rpartition(".")[0]
    for name in modules_beside(base_dir, parent):
        yield f"{parent}.{name}" if parent else name


def models(project: Project, base_dir: str, written: str) -> Iterator[str]:
    """Ids of models: the providers, and the models of one that LiteLLM's table lists."""
    provider, slash, rest = written.partition("/")
    if not slash:
        yield from _SCHEMES
        for name in sorted(providers()):
            yield f"{name}/"
    elif f"{provider}/" == "python/":
        for call in calls(project, base_dir, rest):
            yield f"python/{call}"
    elif f"{provider}/" in _SCHEMES:
        for path in beside(project, base_dir, rest, ()):
            yield f"{provider}/{path}"
    else:
        for name in sorted(models_of(provider)):
            yield f"{provider}/{name}"
