"""The sentences of a page: which there are, and when they are left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.doc import page
from engine.doc.promises import promises_of
from engine.sema.check import check_file

PROGRAM = """orch 1
model planner {{ id = "scripted/plan.json" }}
secret KEY
worker read_page(u: string) -> string via command {{
  run = ["page", u]  effect = read  trust = {trust}  timeout = 5s
}}
worker contacts() -> {{ email: email }}[] via command {{
  run = ["contacts"]  effect = read  timeout = 5s
}}
worker lookup(q: string) -> int via http {{
  url = "https://a.example/"  query = {{ q: q }}  headers = {{ K: secret.KEY }}
  trust = {trust}  timeout = 5s
}}
worker pay(to: email{sources}, amount: int, note: string) -> int via command {{
  run = ["pay", to, amount, note]  effect = once  timeout = 5s
}}
worker ring(n: int) -> int via command {{ run = ["ring", n]  effect = write  timeout = 5s }}
verifier known(input: json) via rules {{ assert input.to == "a@b.example" }}
verifier approval(input: json) via human {{ message = "Pay?"  timeout = 1h  on_timeout = abort }}
orchestrator main(request: string) -> string {{
  model = planner  goal = "{{{{ request }}}}"  workers = [read_page, contacts, lookup, pay, small]
  policy {{ max_rounds = 6 }}
  limit read_page {{ show = {show} }}
  {verify}
}}
orchestrator small(n: int) -> int {{
  model = planner  goal = "{{{{ n }}}}"  workers = [ring]  policy {{ max_rounds = 2 }}
}}
"""
HOOK = "verify { before_dispatch pay { with = known  else = approval  on_fail = abort } }"


@pytest.fixture
def said(tmp_path: Path):
    def said(
        *,
        trust: str = "untrusted",
        sources: str = "",
        verify: str = "",
        show: str = "preview",
        page_too=False,
    ):
        path = tmp_path / "main.orch"
        path.write_text(PROGRAM.format(trust=trust, sources=sources, verify=verify, show=show))
        result = check_file(str(path))
        assert result.program is not None, result.diagnostics
        if page_too:
            return page(result.program)
        promises = promises_of(result.program)
        return [it.text for it in promises.never], [it.text for it in promises.may]

    return said


def test_what_holds_whatever_is_in_the_file(said):
    never, _ = said()
    assert never[0] == "Nothing changes anything outside but `pay` and `ring`."
    assert (
        "`pay` is never done again for a task unless a person says that it was not done." in never
    )
    assert "`lookup` sends nothing to another host than `a.example`." in never
    assert "`KEY` is in no prompt, message or log of this program." in never
    assert "No untrusted text reaches `ring` in `small`." in never
    assert "No text at all is in `amount` of `pay`." in never


def test_a_hook_and_whose_yes_it_needs(said):
    wanted = (
        "`main` never starts `pay` before `known`, or else a person at `approval` has passed it."
    )
    never, may = said(verify=HOOK)
    assert wanted in never
    text = "Text of `read_page` can be in `to` and `note` of `pay`, once its checks have passed."
    assert text in may
    for weak in (HOOK.replace("abort", "warn"), ""):
        never, may = said(verify=weak)
        assert not any("has passed it" in one for one in never)
        assert any("can end as `denied`" in one for one in may)


def test_at_from_says_where_a_value_comes_from(said):
    never, may = said(sources=" @from(request, contacts.email)", verify=HOOK)
    assert (
        "`to` of `pay` always comes from the request or `contacts.email`, "
        "never from another text of `read_page` and `lookup`."
    ) in never
    assert any("can be in `note` of `pay`" in one for one in may)


def test_a_program_without_strangers_says_what_it_rests_on(said):
    never, may = said(trust="trusted")
    assert may == [
        "`read_page`, `contacts`, `pay` and `ring` run code that may reach any host, and files."
    ]
    shown = said(trust="trusted", page_too=True)
    assert "as the file declares them: text of `read_page`, `contacts` counts as trusted." in shown
    assert "## What can never happen in this program" in shown
    assert "No untrusted text reaches `pay` in `main`." in never


def test_what_a_planner_is_not_shown(said):
    wanted = "The planner of `main` never reads text of `read_page`."
    assert wanted in said(show="none")[0]
    assert wanted in said(show="shape")[0]
    assert wanted not in said(show="full")[0]


def test_whom_code_in_a_sandbox_cannot_talk_to(tmp_path):
    path = tmp_path / "main.orch"
    path.write_text(
        "orch 1\n"
        + "".join(
            f'worker {name}(q: string) -> string via command {{ run = ["x", q]  effect = read  '
            f"timeout = 5s  sandbox {{ network = {network} }} }}\n"
            for name, network in (("a", "none"), ("b", '["c.example", "d.example"]'), ("e", "any"))
        )
    )
    result = check_file(str(path))
    assert result.program is not None
    never = [it.text for it in promises_of(result.program).never]
    assert "`a` cannot reach the network." in never
    assert "`b` sends nothing to another host than `c.example` and `d.example`." in never
    assert not any("`e`" in one for one in never)
