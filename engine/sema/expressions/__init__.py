"""Expressions and templates: parsed, compiled, and evaluated in the sandbox."""
