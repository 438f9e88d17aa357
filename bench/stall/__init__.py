"""Stall detection on recorded runs: what would have raised an alarm, and when."""
