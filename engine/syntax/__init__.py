"""The text of a `.orch` file to its syntax tree, and back."""
