"""Names: files and imports, the declarations of each module, and name lookup."""
