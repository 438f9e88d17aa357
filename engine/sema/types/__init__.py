"""Types: as values, as JSON Schema, and as contracts that validate values."""
