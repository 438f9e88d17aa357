"""Drift from the goal, measured through the engine with a planner whose drift is known."""
