"""Spending windows: how they are read, when they reset, and whom they count."""

from datetime import UTC, datetime

import pytest

from engine.config import find_config
from engine.errors import ConfigError
from engine.spending_windows import Spender, Window, read_text

A_MONDAY = int(datetime(2026, 11, 30, 23, 20, tzinfo=UTC).timestamp() * 1000)


def read(tmp_path, text, name="orch.toml"):
    (tmp_path / name).write_text(text)
    return find_config(str(tmp_path)).spending


def test_windows_of_a_file(tmp_path):
    found = read(
        tmp_path,
        '[[spending]]\nper = "day"\nlimit = "$20.00"\n'
        '[[spending]]\nper = "month"\nlimit = "$100"\nlabel = "team=x"\n'
        'time_zone = "Europe/Berlin"\n',
    )
    assert [(w.per, w.limit_usd, w.label, w.time_zone) for w in found] == [
        ("day", 20_000_000, "", "UTC"),
        ("month", 100_000_000, "team=x", "Europe/Berlin"),
    ]
    assert str(found[1]).startswith("$100.00 per month for label team=x (")
    text = '[project]\nname = "x"\n[[tool.orch.spending]]\nper = "week"\nlimit = "$0.50"\n'
    (tmp_path / "orch.toml").unlink()
    assert read(tmp_path, text, "pyproject.toml")[0].limit_usd == 500_000


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('per = "day"', "`limit` needs dollars"),
        ('per = "day"\nlimit = "20"', "`limit` needs dollars"),
        ('per = "day"\nlimit = 20', "`limit` needs a text"),
        ('per = "year"\nlimit = "$1"', "`per` is one of hour, day, week, month"),
        ('limit = "$1"', "`per` is one of"),
        ('per = "day"\nlimit = "$1"\ntime_zone = "Mars/Base"', "not a known time zone"),
        ('per = "day"\nlimit = "$1"\nteam = "x"', "unknown key `team`"),
    ],
)
def test_a_window_that_is_not_valid(tmp_path, table, said):
    with pytest.raises(ConfigError, match=r"orch.toml:1: `spending`: ") as caught:
        read(tmp_path, f"[[spending]]\n{table}\n")
    assert said in str(caught.value)


def test_windows_of_the_environment():
    day, team, month = read_text(
        "$20.00 per day; $5 per day for label team=x;"
        "$1.5 per month for model openai/* in Asia/Kolkata;"
    )
    assert (day.per, day.limit_usd) == ("day", 20_000_000)
    assert (team.label, month.model, month.time_zone) == ("team=x", "openai/*", "Asia/Kolkata")
    with pytest.raises(ValueError, match="'20 a day' is not of the form"):
        read_text("20 a day")


@pytest.mark.parametrize(
    ("per", "zone", "began", "reset"),
    [
        ("hour", "UTC", "2026-11-30T23:00", "2026-12-01 00:00 UTC"),
        ("day", "UTC", "2026-11-30T00:00", "2026-12-01 00:00 UTC"),
        ("week", "UTC", "2026-11-30T00:00", "2026-12-07 00:00 UTC"),
        ("month", "UTC", "2026-11-01T00:00", "2026-12-01 00:00 UTC"),
        ("day", "Asia/Kolkata", "2026-11-30T18:30", "2026-12-02 00:00 Asia/Kolkata"),
        ("month", "Asia/Kolkata", "2026-11-30T18:30", "2027-01-01 00:00 Asia/Kolkata"),
    ],
)
def test_when_windows_begin_and_reset(per, zone, began, reset):
    window = Window(per, 1, time_zone=zone)
    found = datetime.fromtimestamp(window.begin(A_MONDAY) / 1000, UTC)
    assert f"{found:%Y-%m-%dT%H:%M}" == began
    assert window.reset(A_MONDAY) == reset


def test_whom_a_window_counts():
    call = Spender("/home/a/flows/report.orch", ("env=prod", "team=x"), "openai/gpt-5-mini")
    counted = {
        Window("day", 1): True,
        Window("day", 1, label="team=x"): True,
        Window("day", 1, label="team=*"): True,
        Window("day", 1, label="team=y"): False,
        Window("day", 1, workflow="report.orch"): True,
        Window("day", 1, workflow="flows/*.orch"): True,
        Window("day", 1, workflow="port.orch"): False,
        Window("day", 1, model="openai/*"): True,
        Window("day", 1, model="gpt-5-mini"): False,
    }
    assert {window: window.counts(call) for window in counted} == counted
