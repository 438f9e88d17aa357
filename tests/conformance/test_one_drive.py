"""Two callers at a time want something of one run: nothing happens twice, and each gets an answer.

`ORCH_CONFORMANCE=N` plays N scenarios; `ORCH_SCENARIO=K` the one of that number.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from scenarios import play, scenario
from shop import Shop

_BLOCKS = 4
_COUNT = int(os.environ.get("ORCH_CONFORMANCE", "40"))
_ONLY = os.environ.get("ORCH_SCENARIO")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("shop") / "shop")


@pytest.mark.parametrize("block", range(_BLOCKS))
def test_two_callers_at_once(shop: Shop, tmp_path: Path, block: int) -> None:
    numbers = range(_COUNT) if _ONLY is None else [int(_ONLY)]
    for number in numbers:
        if number % _BLOCKS == block:
            played = scenario(number)
            try:
                play(played, shop, tmp_path / str(number))
            except BaseException as error:
                error.add_note(f"ORCH_SCENARIO={number}: {played}")
                raise
