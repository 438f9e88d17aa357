"""Runs workers and verifiers: one module per kind, found by `registry`."""
