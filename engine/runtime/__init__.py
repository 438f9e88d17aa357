"""The interpreter of a run: a pure state machine, its state, and the ports that a driver uses."""
