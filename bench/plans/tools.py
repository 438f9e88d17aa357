"""The workers of `reviews.orch`: they answer at once, and need nothing."""

from __future__ import annotations


def churn(repo: str) -> dict[str, list[dict[str, object]]]:
    """Files with their commits; the text `repo` is how many."""
    count = int(repo) if repo.isdecimal() else 200
    files = [{"path": f"src/pkg_{n % 40}/mod_{n}.py", "commits": n % 50} for n in range(count)]
    return {"files": files}


def review(path: str, focus: str) -> dict[str, str]:
    """A review of one file."""
    return {"risk": "high" if len(path) % 5 == 0 else "low", "notes": f"{focus}: {path}"}


def merge(parts: list[dict[str, str]]) -> dict[str, str]:
    """The worst risk of several reviews."""
    high = any(part["risk"] == "high" for part in parts)
    return {"risk": "high" if high else "low", "notes": f"{len(parts)} parts"}
