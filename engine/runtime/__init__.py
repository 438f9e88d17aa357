"""The interpreter of a run: a pure machine, what it knows, and the ports it is driven through."""
