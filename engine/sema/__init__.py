"""From a tree to a program: names, types, templates, settings, policies, and what is wrong."""
