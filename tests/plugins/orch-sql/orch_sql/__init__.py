"""Workers `via sql`: one read-only query, its rows as the output."""
