"""A program whose decisions may have steps, and its contracts, for the tests of their forms."""

from __future__ import annotations

import functools

from engine.runtime.decision import DecisionContract
from engine.sema.check import check_file
from engine.sema.model import Program
from engine.sema.names.loader import MemoryReader

SOURCE = """orch 1
model m { id = "memory/m" }
schema File { path: string  commits: int  tags: string[]  owner: string? }
schema Review { risk: "low" | "high"  notes: string  lines: int[] }
/// Lists the files of a repository.
worker survey(repo: string) -> {
  files: File[], by_owner: json, total: int
} via command {
  run = ["w"]  effect = read
}
/// Reviews one file.
worker review(
  path: string, focus: string = "all", tags: string[]?, extra: json?, at: int?
) -> Review via command {
  run = ["w"]  effect = read
}
/// Merges reviews.
worker merge(parts: Review[], title: string?) -> Review via command { run = ["w"]  effect = pure }
/// Counts words.
worker count(parts: int[]) -> string via command { run = ["w"]  effect = pure }
/// Saves a review.
worker save(parts: Review[]) -> Review via command { run = ["w"]  effect = write }
/// Finds the risky parts of a repository.
orchestrator main() -> { summary: string, reviews: Review[], best: Review? } {
  model = m  goal = "g"  workers = [survey, review, merge, count, save]
  policy { max_rounds = 3  %s}
}
"""


@functools.cache
def program(*, steps: bool = True) -> Program:
    """The program, with `max_items` or without."""
    text = SOURCE % ("max_items = 500  " if steps else "")
    reader = MemoryReader({"main.orch": text}, "/p")
    result = check_file("/p/main.orch", reader=reader, env={})
    assert result.program is not None, result.diagnostics
    return result.program


@functools.cache
def decisions(*, steps: bool = True) -> DecisionContract:
    """The contract of its orchestrator's decisions."""
    return DecisionContract(program(steps=steps), program(steps=steps).orchestrators["main"])
