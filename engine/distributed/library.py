"""The programs of a host, and what it serves of them.

A host reads its own files: what it runs is what is in them, never what a run brings
along. A call is matched by name and digest, with the program folded under the run's params.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from engine.distributed.programs import digest_of, plain_of
from engine.errors import CompileError, InputError, UsageError
from engine.linter.admission import admitted
from engine.sema.model import Model, Program, Verifier, Worker
from engine.sema.suggest import closest

__all__ = ["Declared", "Library", "secrets_of"]

#: Kinds that the machine itself runs, or asks a model for.

#: How an expression names a secret.
_SECRET = re.compile(r"\bsecret\.(\w+)")

Declared = Model | Worker | Verifier


class Library:
    """The programs a host was started with.

    Args:
        paths: The `.orch` files.
        params: Values for params without a default, where files need them to be read.

    Raises:
        CompileError: One has errors.
        UnreadableFile: One cannot be read.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = list(paths)
        self._folded: dict[bytes, list[Program]] = {}
        self.programs = [admitted(path) for path in self._paths]

    def models(self) -> dict[str, Model]:
        """The models by name; of two with one name, the first."""
        return _merged(program.models for program in self.programs)

    def workers(self) -> dict[str, Worker | Verifier]:
        """The workers and verifiers that a host can serve, by name."""
        found = _merged({**program.workers, **program.verifiers} for program in self.programs)
        return {name: one for name, one in found.items() if one.facts.done_by == "port"}

    def check_names(self, names: Iterable[str]) -> None:
        """Refuse names of what no file declares.

        Raises:
            UsageError: There is one.
        """
        known = [*self.workers(), *self.models()]
        for name in names:
            if name not in known:
                near = closest(name, known)
                hint = f"; did you mean `{near}`?" if near else f" (there are: {', '.join(known)})"
                raise UsageError(f"no worker, verifier or model `{name}` can be served{hint}")

    def secrets(self) -> list[str]:
        """The names of the secrets that the programs declare."""
        return list(dict.fromkeys(name for it in self.programs for name in it.secrets))

    def secrets_for(self, names: Iterable[str]) -> list[str]:
        """The names of the secrets that these workers and verifiers use."""
        wanted = set(names)
        found: dict[str, None] = {}
        for program in self.programs:
            declared: list[Worker | Verifier] = [
                *program.workers.values(),
                *program.verifiers.values(),
            ]
            for one in declared:
                if one.name in wanted and one.facts.done_by == "port":
                    found.update(dict.fromkeys(secrets_of(program, one)))
        return list(found)

    def find(
        self, name: str, digest: str, params: Mapping[str, Any], *, model: bool
    ) -> tuple[Program, Declared] | str:
        """The declaration of a name with that digest, or why there is none, in words."""
        seen: list[str] = []
        for program in self._under(params):
            table: Mapping[str, Declared] = (
                program.models if model else {**program.workers, **program.verifiers}
            )
            declared = table.get(name)
            if declared is None:
                continue
            own = digest_of(declared)
            if own == digest:
                return program, declared
            seen.append(own)
        if not seen:
            return f"this host's files do not declare `{name}`"
        return (
            f"this host has another version of `{name}`: the run's is {digest}, the host's "
            f"{' and '.join(seen)}"
        )

    def _under(self, params: Mapping[str, Any]) -> list[Program]:
        """The programs folded with a run's params; those that do not take them as they are."""
        key = msgspec.json.encode(params, order="sorted")
        found = self._folded.get(key)
        if found is None:
            found = [
                _with_params(path, program, params)
                for path, program in zip(self._paths, self.programs, strict=True)
            ]
            self._folded[key] = found
        return found


def secrets_of(program: Program, declared: Worker | Verifier) -> list[str]:
    """The names of the secrets that are in a declaration, or in that of its server."""
    texts = [plain_of(declared.settings)]
    names = [*declared.settings.get("inherit", ())]
    server = program.servers.get(declared.facts.server or "")
    if server is not None:
        texts.append(plain_of(server))
        names += server.settings.get("inherit", ())
    names += _SECRET.findall(msgspec.json.encode(texts).decode())
    return list(dict.fromkeys(name for name in names if name in program.secrets))


def _merged(tables: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for table in tables:
        for name, one in table.items():
            found.setdefault(name, one)
    return found


def _with_params(path: str, program: Program, params: Mapping[str, Any]) -> Program:
    own = {name: value for name, value in params.items() if name in program.params}
    if not own or own == program.param_values():
        return program
    try:
        return admitted(path, params=own)
    except (CompileError, InputError):
        return program
