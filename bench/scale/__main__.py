"""`python -m bench.scale [embedded]`: see `bench.scale.embedded`."""

from __future__ import annotations

import argparse
import json

from bench.scale import embedded


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("what", nargs="*", choices=["embedded", []], help="all if none")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each, for the median")
    parser.add_argument("--most", type=int, default=10_000, help="no more runs at once than this")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(embedded.measured(json.loads(arguments.measure))))
        return
    what = arguments.what or ["embedded"]
    if "embedded" in what:
        embedded.main(arguments.repeat, arguments.most)


if __name__ == "__main__":
    main()
