"""The public face of orch: `import orch`.

    import orch

    workflow = orch.load("report.orch")
    run = workflow.run(topic="tides")

Every name is that of `engine`, which holds the code; each is loaded when it is first used, so that
`import orch` costs next to nothing. `orch.events` has the events of runs; `orch.kinds` is for
packages that add a kind of worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._own import own

if TYPE_CHECKING:
    import engine
    from engine import *  # noqa: F403
    from engine import __all__ as __all__
else:
    engine = own("engine")
    __all__ = engine.__all__


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(engine, name)
    raise AttributeError(f"module 'orch' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "events", "kinds"]
