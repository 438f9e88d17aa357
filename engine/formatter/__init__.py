"""The standard style of `.orch` files: from a parse tree to text, comments and all.

`format_text` in `engine.formatter.formatting` is the way in. The layers: `trivia` gives every
comment to a token, `expressions` and `declarations` turn the parse tree into pieces of layout,
`layout` says where a piece breaks, `writer` writes it, and `agreement` proves that nothing but
layout has changed.
"""
