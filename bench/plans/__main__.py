"""`python -m bench.plans`: the figures of `bench.plans`, as tables."""

from __future__ import annotations

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


def main() -> None:
    decisions()


if __name__ == "__main__":
    main()
