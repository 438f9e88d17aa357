"""The version of this package. Reading it imports nothing else.

The build reads it from here too (`[tool.hatch.version]`), so this is the only place to change.
"""

__version__ = "0.1.0"
