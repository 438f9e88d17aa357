"""`--seed N` replays one simulated run; ORCH_SEED does the same where options cannot be given."""

import os
import sys
from pathlib import Path

import pytest

# The tests are no package (import mode `importlib`), and the simulator has modules of its own.
sys.path.insert(0, str(Path(__file__).parent))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, help="simulate this seed only")


@pytest.fixture
def only_seed(request: pytest.FixtureRequest) -> int | None:
    """The one seed to simulate, or None for all."""
    given = request.config.getoption("--seed", default=None)
    if given is None and os.environ.get("ORCH_SEED"):
        given = int(os.environ["ORCH_SEED"])
    return given
