"""Runs the work of workers and verifiers: one module a kind, found by `registry`."""
