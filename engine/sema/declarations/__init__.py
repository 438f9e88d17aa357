"""Declarations: workers, verifiers, orchestrators, tests, and what each kind requires."""
