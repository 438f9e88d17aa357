"""`python -m bench.plans`: the figures of `bench.plans`, as tables."""

from __future__ import annotations

from bench.plans import next_prompt
from bench.plans.decisions import rows, tokenizer


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
    decisions()
    prompts()


if __name__ == "__main__":
    main()
