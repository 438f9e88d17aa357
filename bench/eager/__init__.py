"""Makespan of one plan on a streaming model: eager dispatch against waiting for the whole plan."""
