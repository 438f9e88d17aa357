"""What a passage of hooks has looked at, and so what it has cleared of a task.

A firm hook that passes clears the inputs that its verifiers have read, and what steers the task (a
decision, `when`, `where`) if they have read any of it. The output is clear if they have read each
part of it that can hold words. A hook that only warns, or was skipped, clears nothing. What a
verifier reads is in `engine.sema.looks`. A person has seen all of it, so their yes counts whatever
the hook does about a no.

`Cleared` keeps the verifiers; what they read is worked out only where that matters.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from engine.sema.looks import has_seen_output, looks_at, looks_at_output
from engine.sema.model import Hook, Orchestrator, Verifier, Worker

__all__ = ["NOTHING", "Cleared", "after_pass", "by_a_person", "of_all"]


class Cleared(msgspec.Struct, frozen=True):
    """What has been looked at and passed.

    Attributes:
        verifiers: Those of firm hooks that have looked and passed.
        person: A person was one of them, or has overruled the hook.
        endorses: Inputs, or fields of the output, whose values are trusted from now on.
    """

    verifiers: tuple[Verifier, ...] = ()
    person: bool = False
    endorses: frozenset[str] = frozenset()

    def leaves_open(self, inputs: Iterable[str]) -> list[str]:
        """Those of a task's inputs that nothing has looked at."""
        left = [] if self.person else list(inputs)
        for verifier in self.verifiers if left else ():
            seen = looks_at(verifier, left)
            left = [] if seen.whole else [name for name in left if name not in seen.parts]
        return left

    def steers(self, worker: Worker | Orchestrator) -> bool:
        """Whether something has looked at an input of the task, so at whether it should run."""
        if self.person:
            return True
        names = worker.inputs.schema.get("properties", {})
        seen = (looks_at(verifier, names) for verifier in self.verifiers)
        return any(looks.whole or looks.parts for looks in seen)

    def output(self, worker: Worker | Orchestrator) -> bool:
        """Whether each part of the task's output that can hold words has been looked at."""
        return self.person or has_seen_output(self.verifiers, worker.output.schema)


NOTHING = Cleared()


def after_pass(before: Cleared, hook: Hook, passed: list[Verifier]) -> Cleared:
    """What is cleared after another hook has passed.

    Args:
        before: What the hooks before it have cleared.
        passed: Its verifiers that let it pass; those that were skipped are not among them.
    """
    person = any(verifier.facts.done_by == "person" for verifier in passed)
    # A hook that only warns lets pass what it does not like, so it clears nothing but what a
    # person has said yes to.
    if not passed or (hook.on_fail == "warn" and not person):
        return before
    return Cleared(
        (*before.verifiers, *passed),
        before.person or person,
        before.endorses | _endorsed(hook, passed, person),
    )


def by_a_person(before: Cleared, hook: Hook) -> Cleared:
    """What is cleared after a person has overruled a hook that did not pass."""
    return Cleared(before.verifiers, True, before.endorses | frozenset(hook.endorse))


def of_all(before: Cleared) -> Cleared:
    """The same as if the verifiers had looked at everything."""
    return Cleared(before.verifiers, True, before.endorses)


def _endorsed(hook: Hook, passed: list[Verifier], person: bool) -> frozenset[str]:
    """What a hook endorses, as far as its verifiers have looked at it."""
    if not hook.endorse or person:
        return frozenset(hook.endorse)
    if hook.point == "before_dispatch":
        seen = [looks_at(verifier, hook.endorse) for verifier in passed]
    else:
        seen = [looks_at_output(verifier) for verifier in passed]
    if any(looks.whole for looks in seen):
        return frozenset(hook.endorse)
    return frozenset(hook.endorse) & frozenset().union(*(looks.parts for looks in seen))
