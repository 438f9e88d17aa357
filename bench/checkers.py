"""The checkers of other languages beside `orch lint`: CPU of whole processes, about as many lines.

Each gets a file of its own language with the same content, as far as it can say it: so many
records of four fields, and so many workers with a prompt (a task in WDL, a function in BAML).
They do not check the same things: `miniwdl check` and `baml-cli check` type-check, `orch lint`
also checks templates, bounds and flow, PyYAML only parses. What is compared is the wait.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.startup import UNIT, cpu_ms, program

_WDL_UNIT = """
# What worker {n} finds.
struct Finding{n} {{
  String claim
  String confidence
  Array[Pair[String, String]] sources
  String? quote
}}

# Answers one focused question.
task answer{n} {{
  input {{
    String question
    Int limit = {n}
  }}
  command <<<
    echo "Question {n}: ~{{question}} (at most ~{{limit}} findings)"
    echo "Answer from what you know; name at least one source for each finding."
  >>>
  output {{
    Array[String] found = read_lines(stdout())
  }}
  runtime {{ docker: "debian:stable" }}
}}
"""

_BAML_UNIT = """
/// What worker {n} finds.
class Finding{n} {{
  /// One checkable statement.
  claim string @description("between 10 and 400 characters")
  confidence "low" | "medium" | "high"
  sources Source[]
  quote string?
}}

/// Answers one focused question.
function Answer{n}(question: string, limit: int) -> Finding{n}[] {{
  client Fast
  prompt #"
    Question {n}: {{{{ question }}}} (at most {{{{ limit }}}} findings)
    Answer from what you know; name at least one source for each finding.
    {{{{ ctx.output_format }}}}
  "#
}}
"""

_BAML_HEAD = """\
client<llm> Fast {
  provider openai
  options { model "gpt-5-mini" }
}

class Source {
  url string
  title string
}
"""


def orch_case(folder: Path, lines: int) -> tuple[int, list[str]]:
    path = folder / "program.orch"
    path.write_text(program(lines))
    return _lines(path), [_beside("orch"), "lint", str(path)]


def wdl_case(folder: Path, lines: int) -> tuple[int, list[str]]:
    count = _count(lines, _WDL_UNIT)
    calls = "".join(f"  call answer{n} {{ input: question = topic }}\n" for n in range(count))
    units = "".join(_WDL_UNIT.format(n=n) for n in range(count))
    path = folder / "program.wdl"
    flow = f"\nworkflow ask {{\n  input {{ String topic }}\n{calls}}}\n"
    path.write_text(f"version 1.0\n{units}{flow}")
    return _lines(path), [
        _beside("miniwdl"),
        "check",
        "--no-suppress",
        "--no-shellcheck",
        str(path),
    ]


def baml_case(folder: Path, lines: int) -> tuple[int, list[str]]:
    source = folder / "baml_src"
    source.mkdir()
    units = "".join(_BAML_UNIT.format(n=n) for n in range(_count(lines, _BAML_UNIT)))
    path = source / "main.baml"
    path.write_text(_BAML_HEAD + units)
    return _lines(path), [_beside("baml-cli"), "check", "--from", str(source)]


def yaml_case(folder: Path, lines: int) -> tuple[int, list[str]]:
    """The same content as nested YAML, read by PyYAML's pure loader: parsing alone."""
    import yaml

    count = _count(lines, UNIT)
    content = [
        {
            "schema": {
                "doc": f"What worker {n} finds.",
                "name": f"Finding{n}",
                "fields": [
                    {
                        "name": "claim",
                        "doc": "One checkable statement.",
                        "type": "string",
                        "constraints": {"length": [10, 400]},
                    },
                    {"name": "confidence", "type": {"one_of": ["low", "medium", "high"]}},
                    {
                        "name": "sources",
                        "type": {
                            "list": {"url": "url", "title": "string"},
                            "items": {"min": 1, "max": 8},
                        },
                    },
                    {"name": "quote", "type": {"optional": "string"}},
                ],
            },
            "worker": {
                "doc": "Answers one focused question.",
                "name": f"answer{n}",
                "inputs": [
                    {"name": "question", "type": "string"},
                    {"name": "limit", "type": "int", "default": n},
                ],
                "output": {"list": f"Finding{n}"},
                "fails": ["not_found"],
                "via": "llm",
                "model": "fast",
                "prompt": f"Question {n}: {{{{ question }}}} (at most {{{{ limit }}}} findings)\n"
                "Answer from what you know; name at least one source for each finding.\n",
                "repair": {"max": 2},
                "timeout": "60s",
            },
        }
        for n in range(count)
    ]
    path = folder / "program.yaml"
    path.write_text(yaml.dump(content, sort_keys=False))
    code = "import sys, yaml\nwith open(sys.argv[1]) as file:\n    yaml.load(file, yaml.SafeLoader)"
    return _lines(path), [sys.executable, "-c", code, str(path)]


CASES: dict[str, Callable[[Path, int], tuple[int, list[str]]]] = {
    "orch lint": orch_case,
    "miniwdl check": wdl_case,
    "baml-cli check": baml_case,
    "PyYAML, parsing alone": yaml_case,
}


def _beside(name: str) -> str:
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        raise FileNotFoundError(name)
    return found


def _count(lines: int, unit: str) -> int:
    return max(1, lines // unit.count("\n"))


def _lines(path: Path) -> int:
    return path.read_text().count("\n")


def main(repeat: int = 5) -> None:
    print("\nCPU of a whole process that checks a file, in ms (median)\n")
    for lines in (200, 1_000, 10_000):
        spent: dict[str, list[float]] = {}
        sizes: dict[str, int] = {}
        with tempfile.TemporaryDirectory() as folder:
            commands: dict[str, list[str]] = {}
            for name, prepare in CASES.items():
                place = Path(folder) / name.replace(" ", "_")
                place.mkdir()
                try:
                    sizes[name], commands[name] = prepare(place, lines)
                except (ImportError, FileNotFoundError):
                    print(f"  ({name} is not installed here; `make bench` installs it)")
            for _ in range(repeat + 1):  # in turns, and the first is a warm-up
                for name, command in commands.items():
                    spent.setdefault(name, []).append(cpu_ms(command))
        own = statistics.median(spent["orch lint"][1:])
        for name, runs in spent.items():
            middle = statistics.median(runs[1:])
            print(
                f"  {middle:8.0f}  {middle / own:5.1f} x  {name}, {sizes[name]:,} lines", flush=True
            )
        print()


if __name__ == "__main__":
    main()
