"""`check_file` as a whole: what the model holds, canonical names, one finding for one fault."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engine.diagnostics import Diagnostic
from engine.errors import UnreadableFile
from engine.sema.check import CheckResult, check_file
from engine.sema.expressions.template import Expression, Template
from engine.sema.model import Budget, Context, Program, Retry, Stall, TestBody
from engine.sema.names.loader import DiskReader, MemoryReader, OverlayReader
from engine.sema.settings.constants import FileText

EXAMPLES = Path("tests/fixtures/examples").resolve()


def program(name: str) -> Program:
    result = check_file(str(EXAMPLES / name), env={})
    errors = [item for item in result.diagnostics if item.severity == "error"]
    assert errors == []
    assert result.program is not None
    return result.program


def check(files: dict[str, str], entry: str = "main.orch") -> CheckResult:
    return check_file(f"/base/{entry}", reader=MemoryReader(files, "/base"), env={})


def found(result: CheckResult) -> list[tuple[str, int, str]]:
    return [(d.code, d.span.begin_position.line, d.span.text) for d in result.diagnostics]


def changed(name: str, old: str, new: str) -> list[Diagnostic]:
    """The errors of an example in which one piece of text is replaced."""
    path = EXAMPLES / name
    text = path.read_text()
    assert old in text
    reader = OverlayReader(DiskReader(), str(path), text.replace(old, new, 1))
    result = check_file(str(path), reader=reader, env={})
    return [item for item in result.diagnostics if item.severity == "error"]


@pytest.mark.parametrize("name", ["minimal.orch", "report.orch", "triage.orch", "common.orch"])
def test_the_examples_check(name: str) -> None:
    assert program(name).base_dir == str(EXAMPLES)


def test_the_report_example_in_the_model() -> None:
    report = program("report.orch")
    assert report.entry == "research_report"
    assert report.secrets == ("SEARCH_KEY",)
    assert list(report.files) == [
        "common.orch",
        "prompts/on_track.j2",
        "prompts/writer.j2",
        "report.orch",
        "tests/findings.json",
        "tests/report.json",
        "tests/two_rounds.json",
    ]
    orchestrator = report.orchestrators["research_report"]
    assert orchestrator.workers == ("web_search", "read_page", "researcher", "writer")
    policy = orchestrator.policy
    assert (policy.max_rounds, policy.max_per_round, policy.max_parallel) == (6, 8, 4)
    assert policy.budget == Budget(3_000_000, 600_000, 900_000)
    assert policy.stall == Stall(2, "replan", 1)
    assert policy.context == Context(2, 2048, 0.6)
    assert orchestrator.limits["writer"].after == ("researcher",)
    after_round, before_finish = orchestrator.hooks
    assert (after_round.point, after_round.every, after_round.verifiers) == (
        "after_round",
        2,
        ("on_track",),
    )
    assert (before_finish.on_fail, before_finish.max_revisions, before_finish.then) == (
        "revise",
        2,
        "escalate",
    )
    search = report.workers["web_search"]
    assert search.settings["method"] == "POST"
    assert search.settings["on_status"] == {429: "rate_limited"}
    assert isinstance(search.settings["headers"], Expression)
    assert search.retry == Retry(3, ("timeout", "rate_limited"))
    assert search.timeout_ms == 10_000
    assert report.workers["read_page"].trust == "untrusted"
    assert report.workers["researcher"].repair_max == 2
    assert report.workers["writer"].settings["system"].render({}).startswith("Write in plain")
    assert "{{ audience }}" in report.workers["writer"].settings["prompt"].text
    assert report.models["smart"].fallback == ("fast",)
    assert report.models["fast"].max_tokens == 2_000
    assert report.models["fast"].options == {"temperature": 0}
    goal = orchestrator.goal.render({"topic": "x", "audience": "y"})
    assert "at least 3 independent" in goal
    rule = report.verifiers["citations_resolve"].assertions[0]
    assert isinstance(rule.message, Template)
    assert rule.message.render({}) == "need at least 3 distinct sources"


def test_the_triage_example_in_the_model() -> None:
    triage = program("triage.orch")
    assert triage.entry == "triage"
    assert sorted(triage.models) == ["common.fast", "common.judge", "common.smart"]
    assert triage.models["common.smart"].fallback == ("common.fast",)
    assert triage.workers["classify"].settings["model"] == "common.fast"
    assert triage.workers["pay"].effect == "write"
    assert triage.workers["send_reply"].effect == "once"
    assert triage.workers["history"].settings["server"] == "desk"
    assert triage.orchestrators["triage"].on_escalate is not None
    assert triage.verifiers["refund_approval"].timeout_ms == 7_200_000
    assert triage.servers["desk"].settings["allow"] == ("list_tickets", "create_comment")


def test_a_test_in_the_model() -> None:
    (test,) = program("report.orch").tests
    body = test.body
    assert isinstance(body, TestBody)
    assert test.target == "research_report"
    assert body.input == {"topic": "sodium-ion batteries"}
    mocks = {mock.target: mock for mock in body.mocks}
    assert isinstance(mocks["orchestrator"].script, FileText)
    assert mocks["read_page"].fails == "not_found"
    assert mocks["read_page"].times == 1
    assert mocks["web_search"].returns[0]["published"] is None
    assert len(body.assertions) == 2


def test_canonical_names() -> None:
    model = 'model m { id = "openai/x" }\n'
    worker = 'worker w(q: string) -> string via llm { model = m  prompt = "{{ q }}" }\n'
    result = check(
        {
            "main.orch": ('orch 1\nimport "a.orch" as a\nfrom "b.orch" import w as mine\n' + model),
            "a.orch": 'orch 1\nimport "c.orch" as c\n' + model,
            "b.orch": "orch 1\n" + model + worker,
            "c.orch": "orch 1\n" + model,
        }
    )
    assert result.program is not None
    assert sorted(result.program.models) == ["a.c.m", "a.m", "b.m", "m"]
    assert result.program.workers["mine"].settings["model"] == "b.m"


def test_the_entry_is_the_one_orchestrator_no_other_uses() -> None:
    base = (
        'orch 1\nmodel m { id = "openai/x" }\n'
        'worker w(q: string) -> string via llm { model = m  prompt = "{{ q }}" }\n'
    )

    def orchestrator(name: str, worker: str) -> str:
        return (
            f'orchestrator {name}(t: string) -> string {{ model = m  goal = "{{{{ t }}}}"  '
            f"workers = [{worker}]  policy {{ max_rounds = 1 }} }}\n"
        )

    one = check({"main.orch": base + orchestrator("a", "w") + orchestrator("b", "a")})
    two = check({"main.orch": base + orchestrator("a", "w") + orchestrator("b", "w")})
    assert one.program is not None
    assert two.program is not None
    assert one.program.entry == "b"
    assert two.program.entry is None


def test_a_program_is_compiled_again_from_its_own_files() -> None:
    first = program("report.orch")
    again = check_file(
        str(EXAMPLES / "report.orch"), reader=MemoryReader(first.files, str(EXAMPLES)), env={}
    )
    assert again.program is not None
    assert again.program.files == first.files
    assert again.program.orchestrators.keys() == first.orchestrators.keys()


@pytest.mark.parametrize(
    ("name", "old", "new", "code", "text", "help"),
    [
        ("report.orch", "model  = judge", "model  = jugde", "ORC101", "jugde", "`judge`"),
        ("report.orch", "[web_search,", "[web_serach,", "ORC101", "web_serach", "`web_search`"),
        ("report.orch", "max_rounds     =", "max_round =", "ORC103", "max_round", "`max_rounds`"),
        ("report.orch", "timeout = 20s", "timeout = 20", "ORC203", "20", "`20s`"),
        ("report.orch", "on_fail = revise", "on_fail = revize", "ORC202", "revize", "`revise`"),
        ("report.orch", "f.claim", "f.clam", "ORC302", "clam", "`claim`"),
        ("report.orch", "| untrusted", "| untrustd", "ORC304", "untrustd", "`untrusted`"),
        ("report.orch", "url:       url", "url: ulr", "ORC201", "ulr", "`url`"),
        ("report.orch", "writer.j2", "writr.j2", "ORC309", '"prompts/writr.j2"', "writer.j2"),
        ("report.orch", "common.orch", "comon.orch", "ORC106", '"comon.orch"', "common.orch"),
        ("report.orch", ":readable_text", ":readble", "ORC506", '"tools.web:readble"', "readable"),
        ("triage.orch", "common.fast", "common.fats", "ORC101", "common.fats", "`common.fast`"),
        ("triage.orch", "worker pay", "wroker pay", "ORC006", "wroker", "`worker`"),
        ("triage.orch", "via mcp {\n  server", "via mpc {\n  server", "ORC101", "mpc", "`mcp`"),
        ("triage.orch", '"list_tickets"\n', '"list_ticket"\n', "ORC507", '"list_ticket"', "list_"),
        ("triage.orch", "imp", "imq", "ORC006", "imqort", "`import`"),
        ("triage.orch", "secret DESK", "sercet DESK", "ORC006", "sercet", "`secret`"),
        ("triage.orch", "orch 1", "orhc 1", "ORC006", "orhc", "`orch`"),
    ],
)
def test_one_fault_is_one_finding_with_a_suggestion(
    name: str, old: str, new: str, code: str, text: str, help: str
) -> None:
    (item,) = changed(name, old, new)
    assert (item.code, item.span.text) == (code, text)
    assert help in (item.help or "")


def test_a_fix_is_what_was_meant() -> None:
    (item,) = changed("report.orch", "max_rounds     = 6", "max_round = 6")
    assert item.fix is not None
    assert item.fix.safety == "safe"
    assert [(edit.span.text, edit.text) for edit in item.fix.edits] == [("max_round", "max_rounds")]


def test_names_the_parser_lost_are_not_unknown() -> None:
    result = check(
        {
            "main.orch": "\n".join(
                [
                    "orch 1",
                    'model fast = { id = "openai/x" }',
                    "schema Finding claim: string }",
                    'worker w(q: Finding) -> string via llm { model = fast  prompt = "{{ q }}" }',
                ]
            )
        }
    )
    codes = {d.code for d in result.diagnostics if d.severity == "error"}
    assert codes == {"ORC001"}


def test_a_setting_the_parser_lost_is_not_missing() -> None:
    result = check({"main.orch": 'orch 1\nmodel fast { id "openai/x" }\n'})
    assert [code for code, _, _ in found(result)] == ["ORC004"]


def test_no_program_with_an_error_but_a_partial_one() -> None:
    result = check({"main.orch": "orch 1\nmodel fast { }\n"})
    assert result.program is None
    assert list(result.partial.models) == ["fast"]


def test_an_entry_that_cannot_be_read() -> None:
    with pytest.raises(UnreadableFile):
        check({}, "main.orch")


def test_lint_loads_no_heavy_library() -> None:
    code = (
        "import sys; from engine.linter import lint; lint('tests/fixtures/examples/minimal.orch');"
        "heavy = {'litellm', 'networkx', 'rich', 'jsonschema', 'httpx', 'asyncio'};"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert shown.strip() == "[]"


def test_a_python_module_with_our_name_is_one_finding_in_a_folder(tmp_path: Path) -> None:
    """However many calls of however many files lead to it; each such module is another finding."""
    call = 'worker NAME(n: int) -> int via python { call = "tools:double" }\n'
    (tmp_path / "below").mkdir()
    for folder in (tmp_path, tmp_path / "below"):
        (folder / "engine.py").write_text("")
        (folder / "tools.py").write_text("import engine\ndef double(n): ...\n")
    one = "orch 1\n" + call.replace("NAME", "one") + call.replace("NAME", "two")
    (tmp_path / "below" / "low.orch").write_text("orch 1\n" + call.replace("NAME", "low"))
    (tmp_path / "other.orch").write_text("orch 1\n" + call.replace("NAME", "other"))
    (tmp_path / "main.orch").write_text(
        one.replace("\n", '\nimport "other.orch" as o\nimport "below/low.orch" as b\n', 1)
    )
    result = check_file(str(tmp_path / "main.orch"))
    told = [item.span.source.path for item in result.diagnostics if item.code == "ORC516"]
    assert sorted(told) == [str(tmp_path / "below" / "low.orch"), str(tmp_path / "main.orch")]
