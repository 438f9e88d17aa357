"""`python -m bench.scale [embedded] [temporal] [long] [hosts]`: see the modules of these names."""

from __future__ import annotations

import argparse
import json

from bench.scale import embedded


def main() -> None:
    """Measure what is asked for."""
    kinds = ["embedded", "temporal", "long", "hosts"]
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("what", nargs="*", choices=[*kinds, []], help="all if none")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each, for the median")
    parser.add_argument("--most", type=int, default=10_000, help="no more runs at once than this")
    parser.add_argument("--small", action="store_true", help="a small version of `hosts`")
    parser.add_argument("--json", action="store_true", help="`hosts` as JSON")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        wanted = json.loads(arguments.measure)
        if wanted[0] == "temporal":
            from bench.scale import temporal

            print(json.dumps(temporal.measure(*wanted[1:])))
            return
        if wanted[0] == "hosts":
            from bench.scale import hosts

            print(json.dumps(hosts.inside(*wanted[1:])))
            return
        print(json.dumps(embedded.measured(wanted)))
        return
    what = arguments.what or kinds
    if "embedded" in what:
        embedded.main(arguments.repeat, arguments.most)
    if "temporal" in what or "long" in what:
        from bench.scale import temporal

        if "temporal" in what:
            temporal.main(arguments.repeat, arguments.most)
        if "long" in what:
            temporal.long()
    if "hosts" in what:
        from bench.scale import hosts

        hosts.main(small=arguments.small, as_json=arguments.json)


if __name__ == "__main__":
    main()
