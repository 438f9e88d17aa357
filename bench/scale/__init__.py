"""How many runs at once: `python -m bench.scale embedded`, `temporal`, `hosts`."""
