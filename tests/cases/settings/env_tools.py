def work(q: str) -> str:
    return q
