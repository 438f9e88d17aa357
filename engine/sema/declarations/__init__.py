"""Declarations: workers, verifiers, orchestrators, tests, and what each of them requires."""
