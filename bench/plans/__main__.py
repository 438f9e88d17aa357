"""`python -m bench.plans [PART ...]`: the figures of `bench.plans`, as tables.

With `--against PATH`, an item of an `each` is compared with a plain task of that checkout.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.plans import cpu, failures, makespan, next_prompt
from bench.plans.decisions import rows, tokenizer

PARTS = ["decisions", "prompts", "cpu", "makespan", "failures"]


def decisions() -> None:
    """Tokens of a decision."""
    name, _ = tokenizer()
    sizes, steps = rows()
    print(f"Tokens of a decision, one review per file ({name})\n")
    print("| items | tasks | tasks, wire | tasks, wire with steps | `each` | `each`, wire |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in sizes:
        print("| " + " | ".join(f"{figure:,}" for figure in row) + " |")
    print("\nTokens of one step\n")
    print("| step | contract | wire |")
    print("| --- | ---: | ---: |")
    for what, contract, wire in steps:
        print(f"| {what} | {contract} | {wire} |")


def prompts() -> None:
    """Growth of the next prompt."""
    name, _ = tokenizer()
    print(f"\nTokens that items add to the next prompt, one review per file ({name})\n")
    print("| items | plain tasks | `each` | `each`, bytes |")
    print("| ---: | ---: | ---: | ---: |")
    for row in next_prompt.rows():
        print("| " + " | ".join(f"{figure:,}" for figure in row) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.plans", description=__doc__)
    parser.add_argument("what", nargs="*", choices=[*PARTS, []], help="all if none")
    parser.add_argument("--against", type=Path, metavar="PATH", help="the checkout of plain tasks")
    parser.add_argument("--repeat", type=int, default=15, help="pairs of measurements")
    parser.add_argument("--scale", type=float, default=0.2, help="of the latencies of the stages")
    arguments = parser.parse_args()
    what = arguments.what or PARTS
    if "decisions" in what:
        decisions()
    if "prompts" in what:
        prompts()
    if "cpu" in what:
        cpu.main(arguments.repeat, arguments.against)
    if "makespan" in what:
        makespan.main(3, arguments.scale)
    if "failures" in what:
        failures.main()


if __name__ == "__main__":
    main()
