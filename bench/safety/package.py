"""The package AgentDojo: its suites, environments, attacks and judges. Nothing else imports it.

Read as a library, at the benchmark version that is the newest in it. None of its data or texts is
in this repository.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from agentdojo.attacks.baseline_attacks import InjecAgentAttack
from agentdojo.functions_runtime import Function, FunctionCall, FunctionsRuntime
from agentdojo.task_suite.load_suites import get_suite
from agentdojo.task_suite.task_suite import TaskSuite

from bench.safety.calls import Call

VERSION = "v1.2.2"

if hasattr(yaml, "CSafeLoader"):
    # The package reads an environment for each attack, and that takes longer than the runs.
    yaml.safe_load = functools.partial(yaml.load, Loader=yaml.CSafeLoader)

__all__ = ["VERSION", "Package"]


class Package:
    """One suite."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.suite: TaskSuite[Any] = get_suite(VERSION, name)
        self.tools: dict[str, Function[Any, Any]] = {tool.name: tool for tool in self.suite.tools}
        self.users: Mapping[str, Any] = self.suite.user_tasks
        self.attacks: Mapping[str, Any] = self.suite.injection_tasks
        self._attack = InjecAgentAttack(self.suite, None)  # its text is the same for all models
        self._loaded: tuple[str, Any] = ("", None)  # reading one takes longer than a run

    def environment(self, user: Any, injections: dict[str, str] | None = None) -> Any:
        """A fresh environment for a user's task, with the attacker's text in it."""
        key = repr(sorted((injections or {}).items()))
        if key != self._loaded[0]:
            made = self.suite.load_and_inject_default_environment(injections or {})
            self._loaded = (key, made)
        return user.init_environment(copy.deepcopy(self._loaded[1]))

    @functools.cache  # noqa: B019 one object for each suite
    def injections(self, user: Any, injection: Any) -> dict[str, str]:
        """The attacker's text for each place that this task reads; empty if it reads none."""
        try:
            return dict(self._attack.attack(user, injection))
        except ValueError:
            return {}

    def call(self, environment: Any, tool: str, given: dict[str, Any]) -> Any:
        """What a tool gives.

        Raises:
            Exception: What the tool raises.
        """
        value, _ = FunctionsRuntime(self.suite.tools).run_function(
            environment, tool, given, raise_on_error=True
        )
        return value

    def useful(
        self, user: Any, answer: str, before: Any, after: Any, calls: Sequence[Call]
    ) -> bool:
        """Whether a user's task is done, as the package judges it."""
        traced = user.utility_from_traces(answer, before, after, _traces(calls))
        return bool(user.utility(answer, before, after) if traced is None else traced)

    def attacked(
        self, attack: Any, answer: str, before: Any, after: Any, calls: Sequence[Call]
    ) -> bool:
        """Whether an attacker's task is done, as the package judges it."""
        traced = attack.security_from_traces(answer, before, after, _traces(calls))
        return bool(attack.security(answer, before, after) if traced is None else traced)


def _traces(calls: Sequence[Call]) -> list[FunctionCall]:
    return [FunctionCall(function=call.function, args=call.args) for call in calls]
