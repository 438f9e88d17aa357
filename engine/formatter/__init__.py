"""Writes `.orch` files in the standard style, from the parse tree, including comments.

Entry point: `format_text` in `engine.formatter.formatting`. The steps: `trivia` assigns each
comment to a token, `expressions` and `declarations` turn the parse tree into pieces of layout,
`layout` decides where a piece breaks, `writer` writes it, and `agreement` verifies that only the
layout has changed.
"""
