"""Expressions and templates as code: parsed, compiled and evaluated in the sandbox."""
