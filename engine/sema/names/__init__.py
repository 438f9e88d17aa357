"""Names: files and imports, what each module declares, and how a name is looked up."""
