"""Each tool on repositories that git made, the nasty ones too."""

from __future__ import annotations

import json
import os
import textwrap

import pytest

from engine.errors import Failure

BRANCHY = textwrap.dedent(
    """\
    import os


    def simple(a):
        return a


    class Box:
        async def branchy(self, items, flag=None):
            total = 0
            for item in items:
                if item and flag or item > 3:
                    total += 1
                elif item:
                    total -= 1
            while total > 10:
                total -= [x for x in items if x][0]
            try:
                os.stat("x")
            except OSError:
                pass
            match total:
                case 1:
                    return 1 if flag else 2
                case _:
                    def inner():
                        if flag:
                            return 3
                    return inner
    """
)


def mode_of(error: pytest.ExceptionInfo[Failure]) -> str:
    return error.value.mode


# ---------------------------------------------------------------- tracked_files


def test_files_are_counted_and_the_longest_come_first(repo, tools):
    repo.commit({"a.py": "1\n2\n3\n", "b/long.js": "x\n" * 50, "notes": "no line end"})
    found = tools.tracked_files(str(repo))
    assert found["total"] == 3
    assert found["lines"] == 54
    assert found["head"] == repo.git("rev-parse", "HEAD")
    assert found["files"][0] == {
        "path": "b/long.js",
        "bytes": 100,
        "lines": 50,
        "language": "JavaScript",
    }
    assert found["languages"][:2] == [
        {"language": "JavaScript", "files": 1, "lines": 50},
        {"language": "Python", "files": 1, "lines": 3},
    ]
    assert tools.tracked_files(str(repo), limit=1)["files"] == found["files"][:1]


def test_what_is_no_text_file_is_counted_apart(repo, new_repo, tools, tmp_path):
    inner = new_repo("inner")
    inner.commit({"x.py": "1\n"})
    (tmp_path / "secret.txt").write_text("secret\n")
    repo.write("binary.bin", b"\0\1\2")
    repo.write(b"bad\xff.py", "1\n")
    repo.write("latin.txt", "gr\xfcn\n".encode("latin-1"))
    repo.write("gone.txt", "1\n")
    os.symlink(tmp_path / "secret.txt", repo.root / "link.txt")
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "sub")
    repo.commit()
    (repo.root / "gone.txt").unlink()
    repo.write("untracked.py", "1\n")
    found = tools.tracked_files(str(repo))
    assert found["skipped"] == {
        "binary": 1,
        "submodules": 1,
        "symlinks": 1,
        "missing": 1,
        "unreadable": 0,
        "names_not_utf8": 1,
    }
    assert {file["path"] for file in found["files"]} == {"binary.bin", "latin.txt", ".gitmodules"}
    json.dumps(found, ensure_ascii=False).encode("utf-8")


@pytest.mark.parametrize(
    "name", ["a b.py", "a\nb.py", "q\"uo'te.py", "grün/☃.py", "-n.py", ":(x.py"]
)
def test_any_utf8_name_goes_through_all_tools(repo, tools, name):
    code = "def f():\n    pass  # TODO: later\n"
    repo.commit({name: code})
    repo.commit({name: code + "\n"})
    assert tools.tracked_files(str(repo))["files"][0]["path"] == name
    assert tools.churn(str(repo))["files"][0] == {
        "path": name,
        "commits": 2,
        "added": 3,
        "removed": 0,
        "authors": 1,
        "last_change": "2024-01-02",
    }
    assert tools.complexity(str(repo), paths=[name])["functions"][0]["path"] == name
    assert tools.todos(str(repo))["items"] == [
        {"path": name, "line": 2, "tag": "TODO", "text": "later"}
    ]
    assert tools.read_lines(str(repo), name)["lines"][0] == {"n": 1, "text": "def f():"}
    assert tools.test_inventory(str(repo))["untested_modules"][0]["path"] == name


@pytest.mark.parametrize(
    "worker", ["tracked_files", "churn", "complexity", "todos", "test_inventory"]
)
def test_what_is_no_repository_is_said(tmp_path, tools, worker):
    (tmp_path / "file").write_text("")
    for place in [tmp_path, tmp_path / "absent", tmp_path / "file", ""]:
        with pytest.raises(Failure) as error:
            tools.call(worker, repo=str(place))
        assert mode_of(error) == "not_a_repository"


def test_a_bare_repository_is_none_to_read(tmp_path, repo, tools):
    repo.commit({"a": "1\n"})
    repo.git("clone", "-q", "--bare", ".", str(tmp_path / "bare"))
    with pytest.raises(Failure, match="bare") as error:
        tools.tracked_files(str(tmp_path / "bare"))
    assert mode_of(error) == "not_a_repository"


def test_an_empty_repository_is_empty(repo, tools):
    assert tools.tracked_files(str(repo))["total"] == 0
    assert tools.tracked_files(str(repo))["head"] is None
    assert tools.complexity(str(repo))["functions"] == []
    assert tools.todos(str(repo))["items"] == []
    assert tools.test_inventory(str(repo))["source_modules"] == 0


def test_a_folder_of_a_repository_is_reviewed_alone(repo, tools):
    repo.commit({"top.py": "# TODO top\n", "part/in.py": "def f(): ...\n# TODO in\n"})
    repo.commit({"top.py": "1\n"})
    repo.commit({"part/in.py": "def f(): ...\n# TODO in it\n"})
    part = f"{repo}/part"
    assert [f["path"] for f in tools.tracked_files(part)["files"]] == ["in.py"]
    churn = tools.churn(part)
    assert churn["commits"] == 2
    assert [(f["path"], f["commits"]) for f in churn["files"]] == [("in.py", 2)]
    assert tools.todos(part)["items"] == [
        {"path": "in.py", "line": 2, "tag": "TODO", "text": "in it"}
    ]
    assert tools.complexity(part)["functions"][0]["path"] == "in.py"
    assert tools.read_lines(part, "in.py")["total"] == 2
    with pytest.raises(Failure) as error:
        tools.read_lines(part, "../top.py")
    assert mode_of(error) == "not_found"


# ---------------------------------------------------------------- churn


def test_churn_counts_commits_lines_and_authors(repo, tools):
    repo.commit({"a.py": "1\n2\n", "b.py": "1\n"})
    repo.commit({"a.py": "1\n3\n4\n"}, author="bob")
    repo.commit({"a.py": "1\n"})
    found = tools.churn(str(repo))
    assert found["files"] == [
        {
            "path": "a.py",
            "commits": 3,
            "added": 4,
            "removed": 3,
            "authors": 2,
            "last_change": "2024-01-03",
        },
        {
            "path": "b.py",
            "commits": 1,
            "added": 1,
            "removed": 0,
            "authors": 1,
            "last_change": "2024-01-01",
        },
    ]
    assert (found["commits"], found["complete"], found["authors"]) == (3, True, 2)
    assert (found["oldest"], found["newest"]) == ("2024-01-01", "2024-01-03")


def test_churn_follows_renames_and_leaves_out_what_is_gone(repo, tools):
    text = "".join(f"line {n}\n" for n in range(20))
    repo.commit({"old.py": text, "dead.py": "x\n"})
    repo.commit({"old.py": text + "more\n"})
    repo.git("mv", "old.py", "new name.py")
    repo.commit()
    (repo.root / "dead.py").unlink()
    repo.commit({"new name.py": text})
    # The old name is used again by another file, which has a history of its own.
    repo.commit({"old.py": "other\n"})
    found = tools.churn(str(repo))
    assert {f["path"]: f["commits"] for f in found["files"]} == {"new name.py": 4, "old.py": 1}
    assert found["gone_files"] == 1


def test_churn_reads_no_more_commits_than_asked(repo, tools):
    for number in range(4):
        repo.commit({"a.py": f"{number}\n"})
    found = tools.churn(str(repo), max_commits=3)
    assert (found["commits"], found["complete"]) == (3, False)
    assert found["files"][0]["commits"] == 3


def test_merges_are_not_counted(repo, tools):
    repo.commit({"a.py": "1\n"})
    repo.git("checkout", "-q", "-b", "side")
    repo.commit({"b.py": "1\n"})
    repo.git("checkout", "-q", "main")
    repo.commit({"a.py": "2\n"})
    repo.git("merge", "-q", "--no-ff", "-m", "merge", "side")
    found = tools.churn(str(repo))
    assert found["commits"] == 3
    assert {f["path"]: f["commits"] for f in found["files"]} == {"a.py": 2, "b.py": 1}


def test_a_shallow_clone_claims_no_more_than_it_holds(repo, tmp_path, tools):
    for number in range(4):
        repo.commit({"a.py": f"{number}\n", "b.py": "same\n"})
    clone = tmp_path / "clone"
    repo.git("clone", "-q", "--depth", "2", f"file://{repo}", str(clone))
    found = tools.churn(str(clone))
    # Two commits came, and the older one only looks as if it had added both files.
    assert (found["commits"], found["complete"]) == (1, False)
    assert {f["path"]: f["commits"] for f in found["files"]} == {"a.py": 1}


def test_churn_without_commits_is_a_declared_failure(repo, tools):
    repo.write("a.py", "1\n")
    repo.git("add", "a.py")
    with pytest.raises(Failure) as error:
        tools.churn(str(repo))
    assert mode_of(error) == "no_history"
    assert tools.tracked_files(str(repo))["total"] == 1


def test_nothing_the_repository_configures_is_run(repo, tools, tmp_path):
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\nexit 1\n")
    trap.chmod(0o755)
    repo.commit({"a.py": "# TODO: x\n", ".gitattributes": "*.py diff=evil filter=evil\n"})
    repo.commit({"a.py": "# TODO: y\n"})
    for key in [
        "diff.external", "diff.evil.textconv", "diff.evil.command", "core.fsmonitor",
        "core.pager", "filter.evil.clean", "filter.evil.smudge",
    ]:  # fmt: skip
        repo.git("config", key, str(trap))
    repo.git("config", "grep.column", "true")
    repo.git("config", "log.showRoot", "false")
    assert tools.churn(str(repo))["files"][0]["commits"] == 2
    assert tools.todos(str(repo))["items"][0]["line"] == 1
    assert tools.tracked_files(str(repo))["total"] == 2
    assert tools.read_lines(str(repo), "a.py")["lines"] == [{"n": 1, "text": "# TODO: y"}]
    assert not (tmp_path / "sprung").exists()


# ---------------------------------------------------------------- complexity, risks


def test_complexity_is_counted_by_function(repo, tools):
    repo.commit({"m.py": BRANCHY})
    found = tools.complexity(str(repo))
    assert found["functions"] == [
        # 1 + for, if, and, or, elif, while, comprehension and its if, except, case 1, conditional
        {"path": "m.py", "line": 9, "end_line": 29, "name": "Box.branchy", "complexity": 12,
         "length": 21},
        {"path": "m.py", "line": 26, "end_line": 28, "name": "Box.branchy.inner", "complexity": 2,
         "length": 3},
        {"path": "m.py", "line": 4, "end_line": 5, "name": "simple", "complexity": 1, "length": 2},
    ]  # fmt: skip
    assert (found["parsed_files"], found["total_functions"]) == (1, 3)


def test_files_that_do_not_parse_are_data(repo, tools):
    repo.commit({"bad.py": "def f(:\n    pass\n", "open.py": "x = (\n\n\n", "good.py": "x = 1\n"})
    repo.write("nul.py", b"x = 1\0\n")
    repo.write("mac.py", b"def f():\r    pass\r")
    repo.write("deep.py", "(" * 5000 + ")" * 5000)
    repo.write("warn.py", "x = '\\d'\nassert (1, 'x')\n")
    repo.commit()
    found = tools.complexity(str(repo))
    places = {item["path"]: item["line"] for item in found["unparsed"]}
    assert places == {"bad.py": 1, "open.py": 1, "nul.py": 1, "mac.py": 1, "deep.py": 1}
    assert found["parsed_files"] == 2


def test_complexity_of_named_files_only(repo, tools):
    repo.commit({"a.py": "def a(): ...\n", "b.py": "def b(): ...\n", "c.txt": "c\n"})
    found = tools.complexity(str(repo), paths=["b.py", "b.py"])
    assert [f["name"] for f in found["functions"]] == ["b"]
    with pytest.raises(Failure) as error:
        tools.complexity(str(repo), paths=["nope.py"])
    assert mode_of(error) == "not_found"


def test_risky_constructs_are_told_from_their_lookalikes(repo, tools):
    source = textwrap.dedent(
        """\
        import subprocess
        text = "eval(x)  except:  shell=True"
        def shared(a, b=[], *, c=dict(), d=()):
            try:
                eval(a)
            except:
                raise
            try:
                a.eval(b)
            except Exception:
                pass
            except ValueError:
                pass
            subprocess.run(
                "ls",
                shell=True,
            )
            subprocess.run(["ls"], shell=False)
        def wide(a, b, c, d, e, f, g, h, *, i): ...
        """
    )
    repo.commit({"r.py": source})
    found = tools.risky_constructs(str(repo), paths=["r.py"])
    assert [(item["line"], item["kind"]) for item in found["items"]] == [
        (3, "mutable_default"),
        (3, "mutable_default"),
        (5, "dynamic_code"),
        (6, "bare_except"),
        (10, "swallowed_exception"),
        (16, "shell"),
        (19, "many_parameters"),
    ]
    assert "takes 9 parameters" in found["items"][-1]["detail"]


# ---------------------------------------------------------------- todos


def test_todos_count_in_comments_only(repo, tools):
    repo.commit(
        {
            "a.py": 'x = "# TODO: no"\ny = 1  # FIXME(bob): yes\nTODO = 2\n',
            "b.js": "// HACK around it\nlet TODO = 1; /* XXX */\n",
            "c.md": "We use TODO and FIXME.\n- [ ] TODO write it\n",
            "d.c": "int todo; int XXXX; // xtodo\n",
        }
    )
    repo.write("blob.bin", b"\0# TODO: binary\n")
    repo.commit()
    found = tools.todos(str(repo))
    assert found["items"] == [
        {"path": "a.py", "line": 2, "tag": "FIXME", "text": "(bob): yes"},
        {"path": "b.js", "line": 2, "tag": "XXX", "text": "*/"},
        {"path": "b.js", "line": 1, "tag": "HACK", "text": "around it"},
        {"path": "c.md", "line": 2, "tag": "TODO", "text": "write it"},
    ]
    assert (found["total"], found["files"]) == (4, 3)
    assert len(tools.todos(str(repo), limit=2)["items"]) == 2


# ---------------------------------------------------------------- tests


def test_modules_that_no_test_imports(repo, tools):
    repo.commit(
        {
            "src/pkg/__init__.py": "",
            "src/pkg/direct.py": "1\n",
            "src/pkg/named.py": "1\n",
            "src/pkg/plain.py": "1\n",
            "src/pkg/lonely.py": "longer\n",
            "src/pkg/sub/near.py": "1\n",
            "src/pkg/sub/tests/test_near.py": "from ..near import f\ndef test_near(): ...\n",
            "tests/test_a.py": "from pkg import direct\nCALL = 'pkg.named:f'\n"
            "class TestA:\n    def test_one(self): ...\n    async def test_two(self): ...\n",
            "tests/helpers.py": "import plain\n",
            "web/app.test.ts": "1\n",
        }
    )
    found = tools.test_inventory(str(repo))
    assert [m["module"] for m in found["untested_modules"]] == ["pkg.lonely"]
    assert (found["source_modules"], found["untested"], found["complete"]) == (5, 1, True)
    assert (found["test_files"], found["test_functions"]) == (4, 3)
    assert {"path": "web/app.test.ts", "test_functions": None} in found["files"]


def test_a_broken_test_file_counts_as_importing_what_it_mentions(repo, tools):
    repo.commit({"a.py": "1\n", "b.py": "1\n", "test_a.py": "from . import (a\n"})
    found = tools.test_inventory(str(repo))
    assert [module["module"] for module in found["untested_modules"]] == ["b"]
    assert found["complete"] is True


def test_a_test_file_left_out_for_size_proves_nothing(repo, tools):
    repo.commit({"a.py": "1\n", "test_a.py": "#" * (2 << 20)})
    assert tools.test_inventory(str(repo))["complete"] is False


# ---------------------------------------------------------------- read_lines


def test_lines_are_numbered_bounded_and_cut(repo, tools):
    repo.commit(
        {"a.txt": "one\r\ntwo\x0cstill two\n\u2028three\n" + "y" * 1000 + "\n" + "z\n" * 300}
    )
    found = tools.read_lines(str(repo), "a.txt", 1, 4)
    assert [line["text"] for line in found["lines"]] == [
        "one",
        "two\x0cstill two",
        "\u2028three",
        "y" * 400,
    ]
    rest = tools.read_lines(str(repo), "a.txt", 5)
    assert (rest["start"], rest["end"], rest["total"]) == (5, 204, 304)
    assert tools.read_lines(str(repo), "a.txt", 303, 9999)["end"] == 304


@pytest.mark.parametrize(("start", "end"), [(5, 9), (0, 1), (2, 1)])
def test_lines_that_are_not_there(repo, tools, start, end):
    repo.commit({"a.txt": "1\n2\n"})
    with pytest.raises(Failure) as error:
        tools.read_lines(str(repo), "a.txt", start, end)
    assert mode_of(error) == "out_of_range"


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        ("absent.txt", "not_found"),
        ("untracked.txt", "not_found"),
        ("../outside.txt", "not_found"),
        ("/etc/passwd", "not_found"),
        ("link.txt", "not_found"),
        ("", "not_found"),
        ("a\0b", "not_found"),
        ("\udcff", "not_found"),
        ("folder", "not_found"),
        (".git/config", "not_found"),
        ("gone.txt", "not_found"),
        ("folder/escaped.txt", "unreadable"),
        ("pipe.txt", "unreadable"),
        ("swapped.txt", "unreadable"),
        ("binary.bin", "unreadable"),
        ("huge.txt", "unreadable"),
    ],
)
def test_only_tracked_text_inside_the_repository_is_read(repo, tools, tmp_path, path, mode):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "escaped.txt").write_text("secret\n")
    (tmp_path / "outside.txt").write_text("secret\n")
    os.symlink(outside / "escaped.txt", repo.root / "link.txt")
    repo.write("binary.bin", b"\0\1")
    repo.write("folder/escaped.txt", "mine\n")
    for name in ["gone.txt", "pipe.txt", "swapped.txt", "huge.txt"]:
        repo.write(name, "1\n")
    repo.commit()
    repo.write("untracked.txt", "1\n")
    # What is tracked as a file or folder has been replaced in the work tree since.
    for name in ["gone.txt", "pipe.txt", "swapped.txt", "folder/escaped.txt"]:
        (repo.root / name).unlink()
    (repo.root / "folder").rmdir()
    os.symlink(outside, repo.root / "folder")
    os.symlink(outside / "escaped.txt", repo.root / "swapped.txt")
    os.mkfifo(repo.root / "pipe.txt")
    with open(repo.root / "huge.txt", "wb") as file:
        file.truncate(9 << 20)
    with pytest.raises(Failure) as error:
        tools.read_lines(str(repo), path)
    assert mode_of(error) == mode
    assert "secret" not in str(error.value)


# ---------------------------------------------------------------- write_report


def test_the_report_quotes_the_lines_its_findings_point_at(repo, tools):
    repo.commit({"a.py": "x = 1\n\n    y  =\t2\n" + "z" * 500 + "\n"})
    claims = [
        {"claim": "The third line.", "path": "a.py", "line": 3, "severity": "low"},
        {"claim": "The long line.", "path": "a.py", "line": 4, "severity": "high"},
        {"claim": "Not there.", "path": "a.py", "line": 99, "severity": "low"},
        {"claim": "No such file.", "path": "b.py", "line": 1, "severity": "low"},
        {"claim": "As it was.", "path": "a.py", "line": 1, "severity": "medium", "evidence": "w"},
    ]
    report = tools.write_report(
        str(repo),
        claims,
        files=tools.tracked_files(str(repo)),
        excerpts=[tools.read_lines(str(repo), "a.py", 1, 3)],
        summary="Read it.",
        not_reviewed=["The rest."],
    )
    assert [(f["severity"], f["evidence"]) for f in report["findings"]] == [
        ("high", "z" * 200),
        ("medium", "w"),
        ("low", "y = 2"),
        ("low", ""),
        ("low", ""),
    ]
    assert report["summary"] == "Read it. 5 findings (1 high, 1 medium, 3 low)."
    assert report["reviewed"] == ["a.py:1-3"]
    assert report["not_reviewed"] == ["The rest."]
    assert {"name": "lines", "value": "4 in 1 text file"} in report["facts"]
    assert report["head"] == repo.git("rev-parse", "HEAD")
