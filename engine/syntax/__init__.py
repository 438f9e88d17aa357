"""Parses the text of a `.orch` file into its syntax tree, and writes it back."""
