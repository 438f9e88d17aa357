"""Settings: the table of what a body may hold, and how bodies are read by it."""
