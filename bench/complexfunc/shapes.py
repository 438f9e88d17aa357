"""JSON Schemas inferred from recorded answers: the narrowest that all of them fit.

Objects stay open (an API may answer more tomorrow), except that the keys seen are typed and those
seen in every answer are required.
"""

from __future__ import annotations

from typing import Any


class Shape:
    """What has been seen at one place of the answers."""

    def __init__(self) -> None:
        self.types: set[str] = set()
        self.objects = 0
        self.keys: dict[str, tuple[int, Shape]] = {}
        self.items: Shape | None = None

    def add(self, value: Any) -> None:
        match value:
            case None:
                self.types.add("null")
            case bool():
                self.types.add("boolean")
            case int():
                self.types.add("integer")
            case float():
                self.types.add("number")
            case str():
                self.types.add("string")
            case list():
                self.types.add("array")
                self.items = self.items or Shape()
                for item in value:
                    self.items.add(item)
            case _:
                self.types.add("object")
                self.objects += 1
                for key, item in value.items():
                    seen, shape = self.keys.get(key) or (0, Shape())
                    shape.add(item)
                    self.keys[key] = (seen + 1, shape)

    def schema(self) -> dict[str, Any]:
        types = self.types - {"integer"} if "number" in self.types else self.types
        if not types:
            return {}
        schema: dict[str, Any] = {"type": min(types) if len(types) == 1 else sorted(types)}
        if self.keys:
            schema["properties"] = {key: shape.schema() for key, (_, shape) in self.keys.items()}
            always = [key for key, (seen, _) in self.keys.items() if seen == self.objects]
            if always:
                schema["required"] = always
        if self.items is not None and self.items.types:
            schema["items"] = self.items.schema()
        return schema
