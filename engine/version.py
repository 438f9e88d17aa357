"""The version of this package, in a module of its own so that asking for it imports nothing else.

The build reads it from here too (`[tool.hatch.version]`); there is no second place to change.
"""

__version__ = "0.1.0"
