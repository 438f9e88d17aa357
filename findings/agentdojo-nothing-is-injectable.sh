#!/usr/bin/env bash
# `TaskSuite.check()` of AgentDojo 0.1.35 says of every task of its own suites that it is not injectable.
#
# The check looks for the injection texts in tool outputs that are strings. Its messages hold
# their content as lists of blocks, so it finds none, and the whole suite counts as wrong, although each
# injection task passes. Whoever uses the check as a gate before measuring a defence never gets past it.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check "agentdojo==0.1.35"
"$work/venv/bin/python" - <<'PYTHON'
from agentdojo.task_suite.load_suites import get_suite

whole, (tasks, injections) = get_suite("v1.2.2", "banking").check()
reasons = {reason for _, reason in tasks.values()}
print("the suite is sound:", whole)
print("tasks:", len(tasks), "of which sound:", sum(ok for ok, _ in tasks.values()), reasons)
print("injections:", len(injections), "of which sound:", sum(injections.values()))
assert not whole
assert not any(ok for ok, _ in tasks.values())
assert reasons == {"The task is not injectable"}
assert all(injections.values())
PYTHON
