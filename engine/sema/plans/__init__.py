"""Plans as data: steps, selections and tests, as a model writes them, and as an author does."""
