"""What a package needs to add a kind of worker: `via NAME`.

A kind is a record (`WorkerKind`) that an entry point of the group `orch.workers` names, and a port
that does the work. The record is imported when a file that uses the kind is checked, so keep it
light: import client libraries in the module of the port. See docs/howto/write-a-worker-kind.md.
"""

from engine.diagnostics import Diagnostic, diagnostic
from engine.errors import Failure
from engine.runtime.ports import ClosablePort, WorkerPort, WorkerReply, WorkerRequest
from engine.sema.kinds.common import CHECKED, VERIFIER, worker_settings
from engine.sema.kinds.kind import Declared, WorkerKind
from engine.sema.model import EVERY_INPUT, Facts, Program
from engine.sema.settings.table import Row
from engine.sema.settings.values import (
    Bool,
    CallPath,
    Choice,
    Computed,
    Constant,
    Duration,
    Int,
    Ints,
    Money,
    Names,
    NumberValue,
    Share,
    Size,
    Str,
    Strings,
    Text,
)
from engine.workers.settings import evaluated

__all__ = [
    "CHECKED",
    "EVERY_INPUT",
    "VERIFIER",
    "Bool",
    "CallPath",
    "Choice",
    "ClosablePort",
    "Computed",
    "Constant",
    "Declared",
    "Diagnostic",
    "Duration",
    "Facts",
    "Failure",
    "Int",
    "Ints",
    "Money",
    "Names",
    "NumberValue",
    "Program",
    "Row",
    "Share",
    "Size",
    "Str",
    "Strings",
    "Text",
    "WorkerKind",
    "WorkerPort",
    "WorkerReply",
    "WorkerRequest",
    "diagnostic",
    "evaluated",
    "worker_settings",
]
