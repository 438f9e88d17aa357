"""The package AgentDojo: its suites, environments, attacks and judges. Nothing else imports it.

Read as a library, at the benchmark version that is the newest in it. None of its data or texts is
in this repository.
"""

from __future__ import annotations

import copy
import functools
from typing import Any

from agentdojo.attacks.baseline_attacks import InjecAgentAttack
from agentdojo.functions_runtime import Function, FunctionCall, FunctionsRuntime
from agentdojo.task_suite.load_suites import get_suite
from agentdojo.task_suite.task_suite import TaskSuite

PACKAGE = "agentdojo==0.1.35"
VERSION = "v1.2.2"

__all__ = ["PACKAGE", "VERSION", "Function", "FunctionCall", "Package"]


class Package:
    """One suite."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.suite: TaskSuite[Any] = get_suite(VERSION, name)
        self.tools: dict[str, Function[Any, Any]] = {tool.name: tool for tool in self.suite.tools}
        self._attack = InjecAgentAttack(self.suite, None)  # its text is the same for all models
        self._plain = self.suite.load_and_inject_default_environment({})

    def environment(self, user: Any, injections: dict[str, str] | None = None) -> Any:
        """A fresh environment for a user's task, with the attacker's text in it."""
        if injections:
            made = self.suite.load_and_inject_default_environment(injections)
        else:
            made = copy.deepcopy(self._plain)
        return user.init_environment(made)

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


def useful(user: Any, answer: str, before: Any, after: Any, calls: list[FunctionCall]) -> bool:
    """Whether a user's task is done, as the package judges it."""
    traced = user.utility_from_traces(answer, before, after, calls)
    return bool(user.utility(answer, before, after) if traced is None else traced)


def attacked(injection: Any, answer: str, before: Any, after: Any, calls: list[Any]) -> bool:
    """Whether an attacker's task is done, as the package judges it."""
    traced = injection.security_from_traces(answer, before, after, calls)
    return bool(injection.security(answer, before, after) if traced is None else traced)
