"""The comparisons, each runnable with one command: `make bench`."""
