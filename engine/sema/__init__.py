"""Checks a syntax tree and turns it into a program: names, types, templates, settings, policies."""
