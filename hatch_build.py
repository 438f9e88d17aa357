"""Build hook: makes the parsers' tables once, so that wheels carry them.

Wheels without the tables work too; the first start then takes 0.4 s longer.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Writes the tables beside the grammar and adds them to the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the tables, but not for an editable install, which follows the grammar's text."""
        if version == "editable":
            return
        sys.path.insert(0, self.root)
        try:
            from grammar import build_tables  # needs the root on the path
        finally:
            sys.path.remove(self.root)
        for path in build_tables(Path(self.root) / "grammar"):
            build_data["artifacts"].append(f"grammar/{path.name}")
