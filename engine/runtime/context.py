"""The size of an orchestrator's prompt, and the step that makes it small again.

A prompt only grows, so that providers' caches hit, until it reaches `compact_at` of the planner's
context window. Then, once, all but the last `keep_last` rounds are rewritten as a short record. It
has every task with its id, state and size and every step with its counts, so that references stay
usable, the last assessments, what people have said, and what checks still ask for. The first block,
with the role, the workers and the goal, is never touched. This brings the prompt below half of the
limit, so the next time is many rounds away and total tokens grow linearly.
"""

from __future__ import annotations

from engine.runtime.budget import TOKENS_PER_MESSAGE
from engine.runtime.prompts.blocks import feedback_block, limits_of, record_block, task_line
from engine.runtime.state import Block, Loop, RunState

__all__ = ["compact", "prompt_tokens"]

#: The context window of a model of a provider that is not known, in tokens.
UNKNOWN_CONTEXT = 128_000
#: Of how many rounds the assessment is kept.
KEPT_ASSESSMENTS = 5


def prompt_tokens(loop: Loop, model: str) -> int:
    """An upper bound of the prompt's tokens for a model.

    What the provider counted for an earlier prompt still holds, for that prompt is a prefix of
    this one; each byte since then is at most a token.
    """
    known, tokens, counted_by = loop.settled_input or (0, 0, "")
    if counted_by != model:
        known, tokens = 0, 0
    return tokens + sum(
        len(block.text.encode()) + TOKENS_PER_MESSAGE for block in loop.blocks[known:]
    )


def _tokens_per_byte(loop: Loop, model: str) -> float:
    """What the provider counted for a byte of the prompt so far; 1 where it has counted none."""
    known, tokens, counted_by = loop.settled_input or (0, 0, "")
    size = sum(len(block.text.encode()) for block in loop.blocks[:known])
    return min(1.0, tokens / size) if size and tokens and counted_by == model else 1.0


def compact(state: RunState, loop: Loop) -> None:
    """Rewrite the older rounds if the prompt has reached its limit."""
    name = loop.orchestrator.model
    info = state.models[name]
    window = info.context or (UNKNOWN_CONTEXT if info.metered else None)
    if window is None:
        return
    context = loop.orchestrator.policy.context
    limit = int(window * context.compact_at)
    if prompt_tokens(loop, name) <= limit:
        return
    # The rewritten prompt has not been counted yet; it is text of much the same kind.
    per_byte = _tokens_per_byte(loop, name)
    loop.settled_input = None
    blocks, rounds = loop.blocks, loop.rounds
    record_bytes = int(limit / 4 / per_byte)
    starts = [r.first_block for r in rounds]
    for keep in range(min(context.keep_last, len(rounds) - 1), -1, -1):
        kept_from = starts[len(rounds) - keep] if keep else len(blocks)
        record = _record(loop, len(rounds) - keep, record_bytes, last=keep == 0)
        loop.blocks = [blocks[0], Block("user", record), *blocks[kept_from:]]
        moved = kept_from - 2
        for r, start in zip(rounds, starts, strict=True):
            r.first_block = max(2, start - moved)
        if prompt_tokens(loop, name) * per_byte <= limit // 2:
            break
    loop.compactions += 1


def _record(loop: Loop, upto: int, budget: int, *, last: bool) -> str:
    """The rounds up to number `upto` in at most about `budget` bytes, newest first."""
    lines: list[str] = []
    left = budget
    older: dict[str, int] = {}
    for r in reversed(loop.rounds[:upto]):
        for entry in reversed(r.entries):
            line = task_line(entry)
            left -= len(line.encode()) + 1
            if left > 0:
                lines.append(line)
            elif entry.worker is not None:
                name = entry.worker.name
                older[name] = older.get(name, 0) + 1
    # All of them: the block before a round that is kept is gone, and notes may have been in it.
    notes = [note for r in loop.rounds for note in r.notes]
    parts = [record_block(loop.rounds[:upto], lines, older, KEPT_ASSESSMENTS, notes)]
    if loop.feedback:
        parts.append(feedback_block(loop.feedback, still_open=True))
    if last and loop.blocks[-1].role == "user":
        # Nothing of the newest round is kept as it was: its limits and the goal must be here.
        parts.append(limits_of(loop.blocks[-1].text))
    return "\n\n".join(parts)
