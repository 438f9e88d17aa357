"""Random runs, distilled: each plan is clean, and on the answers of its run it gives the same.

The planner writes most values out: it copies them from outputs, from the goal, or makes them up. It
lists tasks over lists, whole and in part, uses steps where it may, and joins texts.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from distilled_runs import Shop, task

REPO = "github.com/a/b"


class Planner:
    """Decides at random, and knows what its tasks will give because the workers always give that.

    Attributes:
        seen: Values of finished rounds that may be copied, by kind.
    """

    def __init__(self, rng: random.Random, shop: Shop) -> None:
        self.rng = rng
        self.shop = shop
        self.steps = "max_items" in shop.source
        self.count = 0
        self.surveys: list[str] = []
        self.reviews: list[str] = []
        self.files: list[dict[str, Any]] = []
        self.texts = [REPO, "a note of the goal"]

    def decisions(self) -> list[Any]:
        """Some rounds and a result."""
        made: list[Any] = [[self._survey(REPO)]]
        self._look()
        for _ in range(self.rng.randint(1, 4)):
            tasks: list[dict[str, Any]] = []
            fresh: list[str] = []
            for _ in range(self.rng.randint(1, 3)):
                kind = self.rng.choice(["review", "walk", "save", "merge", "survey", "step"])
                tasks += getattr(self, f"_{kind}s")(fresh)
            made.append(tasks)
            self.reviews += fresh
        made.append(self._result())
        return made

    def _id(self, head: str) -> str:
        self.count += 1
        return f"{head}{self.rng.choice(['', '-', '_'])}{self.count}"

    def _survey(self, repo: str) -> dict[str, Any]:
        id = self._id("s")
        self.surveys.append(id)
        return task(id, "survey", repo=repo)

    def _look(self) -> None:
        paths = [f"{REPO}/file{number}.py" for number in range(6)]
        self.files = [{"path": path, "owner": f"owner-{n}@{REPO}"} for n, path in enumerate(paths)]
        self.texts += [one[key] for one in self.files for key in ("path", "owner")]

    def _surveys(self, fresh: list[str]) -> list[dict[str, Any]]:
        id = self._id("t")
        return [task(id, "survey", repo=self.rng.choice([REPO, f"made/up{self.count}"]))]

    def _reviews(self, fresh: list[str]) -> list[dict[str, Any]]:
        id = self._id("r")
        path: Any = self.rng.choice([*self.texts, f"new/{self.count}.py"])
        if self.rng.random() < 0.3:
            place = self.rng.randrange(6)
            path = {"$from": self.surveys[0], "at": f"/files/{place}/path"}
        fresh.append(id)
        more = {} if self.rng.random() < 0.5 else {"focus": self.rng.choice(["speed", "all"])}
        return [task(id, "review", path=path, **more)]

    def _walks(self, fresh: list[str]) -> list[dict[str, Any]]:
        chosen = self.rng.choice([range(6), range(6), range(4), (0, 1, 3, 5), (1, 4, 5)])
        head = self._id("w")
        made = []
        for number in chosen:
            path: Any = self.files[number]["path"]
            if self.rng.random() < 0.1:
                path = {"$from": self.surveys[0], "at": f"/files/{number}/path"}
            made.append(task(f"{head}.{number}".replace(".", "_"), "review", path=path))
        fresh += [one["id"] for one in made]
        return made

    def _saves(self, fresh: list[str]) -> list[dict[str, Any]]:
        text = self.rng.choice(self.texts)
        if self.rng.random() < 0.5:
            text = f"About {text}: it is {self.rng.choice(['fine', 'bad', '5 of 6'])}."
        return [task(self._id("save"), "save", text=text)]

    def _merges(self, fresh: list[str]) -> list[dict[str, Any]]:
        if not self.reviews:
            return []
        parts = [{"$from": id} for id in self.reviews]
        if self.rng.random() < 0.3:
            parts = self.rng.sample(parts, self.rng.randint(1, len(parts)))
        return [task(self._id("m"), "merge", parts=parts)]

    def _steps(self, fresh: list[str]) -> list[dict[str, Any]]:
        if not self.steps:
            return []
        source: dict[str, Any] = {"$from": self.surveys[0], "at": "/files"}
        if self.rng.random() < 0.5:
            source["where"] = [[{"value": {"$item": "/commits"}, "is": ">", "than": 1}]]
        if self.rng.random() < 0.5:
            source |= {"sort_by": "/commits", "desc": True, "take": 3}
        id = self._id("e")
        focus = self.rng.choice(["speed", {"$item": "/owner"}])
        each = {**task(id, "review", path={"$item": "/path"}, focus=focus), "each": source}
        pairs = {
            **task(self._id("p"), "review", path={"$item": "/item/path"}, focus="again"),
            "each": {
                "$from": id,
                "pairs": True,
                "where": [[{"value": {"$item": "/output/risk"}, "is": "==", "than": "low"}]],
            },
        }
        merged = {
            **task(self._id("all"), "merge", parts={"$parts": True}),
            "reduce": {"$from": [id, pairs["id"]]},
            "size": 30,
            "empty": {"text": "", "count": 0, "about": None},
        }
        return [each, pairs, merged][: self.rng.randint(1, 3)]

    def _result(self) -> Any:
        kind = self.rng.choice(["words", "copy", "reference"])
        if kind == "copy":
            return {"path": self.rng.choice(self.files)["path"], "repo": REPO}
        if kind == "reference" and self.steps:
            return {"total": {"$from": self.surveys[0], "at": "/total"}}
        return "all is well"


@pytest.mark.parametrize("steps", [False, True], ids=["plain", "steps"])
@pytest.mark.parametrize("part", range(6))
def test_a_plan_repeats_its_run(tmp_path, steps, part):
    for seed in range(part * 5, part * 5 + 5):
        folder = tmp_path / str(seed)
        folder.mkdir()
        shop = Shop(folder, steps=steps)
        run = shop.run(*Planner(random.Random(seed), shop).decisions(), repo=REPO)
        assert run.status == "finished", (seed, run.report())
        text = shop.distill(run).text
        assert shop.findings(text) == [], (seed, text)
        given = {"repo": REPO} if "repo: string" in text else {}
        output = shop.repeat(text, **given)
        if "the plan returns what nothing else reads" in text.replace("\n//   ", " "):
            assert made_of_outputs(output, shop), (seed, text)
        else:
            assert output == run.output, (seed, text)


def made_of_outputs(output: Any, shop: Shop) -> bool:
    """Whether a value is an output of the run, or a list or record of some, however deep."""
    if output is None or any(output == value for _, value in shop.notes.calls):
        return True
    if not output:
        return output == []
    if isinstance(output, dict):
        return all(made_of_outputs(value, shop) for value in output.values())
    return isinstance(output, list) and all(made_of_outputs(value, shop) for value in output)
