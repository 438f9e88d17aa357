"""Reading files: every way an entry or an import can be unreadable, and what is kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.errors import UnreadableFile
from engine.sema.names.loader import (
    MAX_FILE_BYTES,
    CannotRead,
    DiskReader,
    LoadResult,
    MemoryReader,
    OverlayReader,
    load_modules,
)


def load(files: dict[str, str], entry: str = "main.orch") -> LoadResult:
    return load_modules(f"/base/{entry}", MemoryReader(files, "/base"))


def problems(result: LoadResult) -> list[tuple[str, str]]:
    return [(item.code, item.message) for item in result.diagnostics]


def test_an_entry_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="it does not exist") as caught:
        load_modules(str(tmp_path / "x.orch"))
    assert caught.value.path == str(tmp_path / "x.orch")


def test_an_entry_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="is a folder"):
        load_modules(str(tmp_path))


def test_an_entry_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "x.orch"
    path.write_bytes(b"orch 1\n\n// caf\xe9\n")
    with pytest.raises(
        UnreadableFile, match=r"is not UTF-8 text \(byte 0xe9 in line 3\)"
    ) as caught:
        load_modules(str(path))
    assert caught.value.help == "save it as UTF-8"


def test_an_entry_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "x.orch"
    path.write_bytes(b" " * (MAX_FILE_BYTES + 1))
    with pytest.raises(UnreadableFile, match="is larger than 10 MB"):
        load_modules(str(path))


def test_a_name_no_file_can_have() -> None:
    with pytest.raises(UnreadableFile, match="cannot be opened"):
        load_modules("x\0.orch")
    assert DiskReader().names("/x\0") == []


def test_a_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "x.orch"
    path.write_bytes(b"\xef\xbb\xbforch 1\r\n\r\nschema A { a: int }\r\nschema B { b: int }\r\n")
    result = load_modules(str(path))
    assert problems(result) == []
    names = [getattr(d, "name", None) for d in result.entry.document.declarations]
    assert [name.text for name in names if name] == ["A", "B"]


def test_imports_are_relative_to_the_importing_file_and_read_once() -> None:
    reads: list[str] = []

    class Counting(MemoryReader):
        def read(self, path: str) -> str:
            reads.append(path)
            return super().read(path)

    files = {
        "main.orch": 'orch 1\nimport "lib/a.orch" as a\nimport "lib/b.orch" as b\n',
        "lib/a.orch": 'orch 1\nimport "b.orch" as b\n',
        "lib/b.orch": "orch 1\nschema S { s: int }\n",
    }
    result = load_modules("/base/main.orch", Counting(files, "/base"))
    assert problems(result) == []
    assert sorted(reads) == ["/base/lib/a.orch", "/base/lib/b.orch", "/base/main.orch"]
    assert [os.path.basename(module.path) for module in result.modules] == [
        "b.orch",
        "a.orch",
        "main.orch",
    ]
    assert result.files.texts() == files
    assert result.entry.is_entry


def test_a_missing_import_says_where_it_looked() -> None:
    result = load({"main.orch": 'orch 1\nimport "lib/comon.orch" as c\n'})
    (item,) = result.diagnostics
    assert (item.code, item.message) == ("ORC106", "cannot find `lib/comon.orch`")
    assert item.help == "looked for /base/lib/comon.orch"
    assert item.span.text == '"lib/comon.orch"'
    assert list(result.entry.imports.values()) == [None]


def test_a_missing_import_suggests_its_neighbour() -> None:
    result = load({"main.orch": 'orch 1\nimport "comon.orch" as c\n', "common.orch": "orch 1\n"})
    (item,) = result.diagnostics
    assert item.help is not None
    assert item.help.startswith("did you mean `common.orch`?")
    assert item.fix is not None
    assert item.fix.edits[0].text == '"common.orch"'


def test_an_import_that_cannot_be_read_is_a_diagnostic(tmp_path: Path) -> None:
    (tmp_path / "main.orch").write_text('orch 1\nimport "sub" as s\nimport "bad.orch" as b\n')
    (tmp_path / "sub").mkdir()
    (tmp_path / "bad.orch").write_bytes(b"\xff\xfe")
    assert problems(load_modules(str(tmp_path / "main.orch"))) == [
        ("ORC106", "cannot import `sub`: it is a folder"),
        ("ORC106", "cannot import `bad.orch`: it is not UTF-8 text (byte 0xff in line 1)"),
    ]


def test_a_cycle_is_told_with_its_chain() -> None:
    result = load(
        {
            "main.orch": 'orch 1\nimport "a.orch" as a\n',
            "a.orch": 'orch 1\nimport "b.orch" as b\n',
            "b.orch": 'orch 1\nimport "a.orch" as a\n',
        }
    )
    assert problems(result) == [
        ("ORC107", "these files import each other: a.orch -> b.orch -> a.orch")
    ]


def test_a_file_that_imports_itself() -> None:
    result = load({"main.orch": 'orch 1\nimport "main.orch" as me\n'})
    assert problems(result) == [("ORC107", "these files import each other: main.orch -> main.orch")]


def test_imports_nested_without_end_stop() -> None:
    files = {f"f{i}.orch": f'orch 1\nimport "f{i + 1}.orch" as next\n' for i in range(300)}
    (item,) = load(files, "f0.orch").diagnostics
    assert item.code == "ORC106"
    assert "nested more than 100 deep" in item.message


def test_syntax_errors_of_an_import_are_reported_there() -> None:
    result = load({"main.orch": 'orch 1\nimport "a.orch" as a\n', "a.orch": "orch 1\nschema {\n"})
    assert {item.span.source.path for item in result.diagnostics} == {"/base/a.orch"}
    assert [module.syntax_errors for module in result.modules] == [True, False]


def test_an_overlay_replaces_one_text(tmp_path: Path) -> None:
    (tmp_path / "a.orch").write_text("orch 1\n")
    (tmp_path / "b.orch").write_text("orch 1\n")
    reader = OverlayReader(DiskReader(), str(tmp_path / "a.orch"), "unsaved")
    assert reader.read(str(tmp_path / "a.orch")) == "unsaved"
    assert reader.read(str(tmp_path / "b.orch")) == "orch 1\n"
    assert reader.names(str(tmp_path)) == ["a.orch", "b.orch"]


def test_a_memory_reader_knows_only_its_files() -> None:
    reader = MemoryReader({"a/x.orch": "1", "../y.orch": "2"}, "/base")
    assert reader.read("/base/a/x.orch") == "1"
    assert reader.read("/y.orch") == "2"
    assert reader.names("/base/a") == ["x.orch"]
    with pytest.raises(CannotRead, match="does not exist"):
        reader.read("/base/z.orch")
