"""Settings: the table of what each body may contain, and the code that reads bodies with it."""
