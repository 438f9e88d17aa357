"""The same job, R rounds of W fake workers with 1 KB results, on different engines.

Each module offers `async def run(rounds, width, folder) -> None`; `folder` is where a durable
variant keeps its database, or None for none at all.
"""
