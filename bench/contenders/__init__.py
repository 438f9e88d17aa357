"""The same job, R rounds of W fake workers with 1 KB results, on different engines.

Each module offers `prepare(rounds, width, folder) -> Job`, which compiles the program and is not
measured; `folder` is where a durable variant keeps its database, or None for none at all.
"""
