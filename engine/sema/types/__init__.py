"""Types: as values, as JSON Schema, and as contracts that values are checked against."""
