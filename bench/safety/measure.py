"""Plays a suite with one program: `python -m bench.safety.measure SUITE PROGRAM PART ...`.

`honest` plays every task twice: with a person who says no to all that is asked, and with one who
says yes. `attacks` plays every pair of a task and an attack, in each form. Prints one JSON object a
line.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.safety.declared import SUITES
from bench.safety.dialect import refused
from bench.safety.package import Package
from bench.safety.planner import FORMS
from bench.safety.play import Suite


async def honest(suite: Suite) -> None:
    for user in suite.package.users.values():
        for person in (False, True):
            tell("honest", asdict(await suite.honest(user, person=person)), person=person)


async def attacks(suite: Suite, every: int) -> None:
    users, wanted = suite.package.users.values(), suite.package.attacks.values()
    for user, injection in list(itertools.product(users, wanted))[::every]:
        for form in FORMS:
            played = await suite.attack(user, injection, form)
            if played is None:
                continue
            tell("attack", asdict(played), injection=injection.ID, form=form)


def tell(what: str, row: dict[str, Any], **more: Any) -> None:
    print(json.dumps({"what": what, **row, **more}), flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.safety.measure", description=__doc__)
    parser.add_argument("suite")
    parser.add_argument("program", type=Path)
    parser.add_argument("parts", nargs="+", choices=["honest", "attacks"])
    parser.add_argument("--every", type=int, default=1, help="only each so many pairs")
    arguments = parser.parse_args()
    package, lists = Package(arguments.suite), SUITES[arguments.suite].lists
    if "honest" in arguments.parts:
        await honest(Suite(package, arguments.program, lists))
    if "attacks" in arguments.parts:
        program = arguments.program.with_suffix(".refused.orch")
        program.write_text(refused(arguments.program.read_text()))
        await attacks(Suite(package, program, lists), arguments.every)


if __name__ == "__main__":
    asyncio.run(main())
