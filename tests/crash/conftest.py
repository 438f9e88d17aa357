"""A shop to send orders to, and desks whose process can be killed anywhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

# The tests are no package (import mode `importlib`), and these have modules of their own.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "support"))

from crash_shop import Shop
from crash_world import World, start_fork_server


@pytest.fixture(scope="session")
def shop() -> Iterator[Shop]:
    start_fork_server()
    with Shop() as shop:
        yield shop


@pytest.fixture
def new_world(shop: Shop, tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes worlds, each in a folder of its own: the desk, or another program of this folder."""
    made: list[World] = []

    def new(program: str = "parcels", kinds: Sequence[str] = ()) -> World:
        folder = tmp_path / f"world-{len(made)}"
        made.append(World(folder, shop, Path(__file__).parent / program, kinds))
        return made[-1]

    yield new
    for world in made:
        shop.forget(world.name)
