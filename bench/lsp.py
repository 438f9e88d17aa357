"""From an edit to findings: CPU of the language server, over its real protocol.

Types into a file of 1,000 lines in a running `orch lsp`, one key at a time, at many places: inside
prompts, names, settings, between declarations, and into text that does not parse for a while. What
counts is the CPU of the whole server process (all threads, user and system) between the change and
the findings for it. The server collects garbage when nobody waits, but after 20 edits without a
pause it has to: those collections are in the mean and the most, not in the median.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

#: One part of the program: most of what the language has, in the proportions of real files.
UNIT = '''
/// What the researcher of part {n} finds.
schema Finding{n} {{
  /// One checkable statement.
  claim:      string @length(10, 400)
  confidence: "low" | "medium" | "high"
  sources:    {{ url: url, title: string }}[] @items(min: 1, max: 8)
  quote:      string?
}}

template style{n}(tone: string, words: int = 200) = """
  Write in a {{{{ tone }}}} tone, at most {{{{ words }}}} words.
"""

/// Answers one focused question.
worker research{n}(question: string, limit: int = 4 @min(1)) -> Finding{n}[] fails not_found via llm {{
  model  = fast
  system = "You answer questions about part {n}; you never guess."
  prompt = """
    Question: {{{{ question }}}} (at most {{{{ limit }}}} findings)
    {{% if limit > 2 %}}Look at more than one source.{{% endif %}}
  """
  repair {{ max = 2 }}
  timeout = 60s
}}

/// Turns findings into a text.
worker write{n}(findings: Finding{n}[], tone: "plain" | "formal" = "plain") -> {{ text: string, used: int }} via llm {{
  model  = smart
  prompt = """
    {{% for f in findings %}}
    - {{{{ f.claim }}}} ({{{{ f.confidence }}}}){{% if f.quote %}}: {{{{ f.quote | upper }}}}{{% endif %}}
      {{% for s in f.sources %}}{{{{ s.title }}}} <{{{{ s.url }}}}>{{% endfor %}}
    {{% endfor %}}
    {{{{ style{n}(tone, words=param.words) }}}}
  """
  timeout = 90s
}}

verifier has_text{n}(result: {{ text: string, used: int }}) via rules {{
  assert result.text | length > 20 else "the text is too short"
  assert result.used > 0 else "no finding was used ({{{{ result.used }}}})"
}}

/// Researches part {n} and writes it up.
orchestrator part{n}(topic: string, audience: string = "engineers") -> {{ text: string, used: int }} {{
  model   = planner
  goal    = "Explain part {n} of {{{{ topic }}}} to {{{{ audience }}}}."
  workers = [research{n}, write{n}]
  policy {{
    max_rounds    = 4
    max_per_round = 3
    budget {{ cost = $1.00  time = 5m }}
    stall  {{ after = 2  action = replan }}
  }}
  limit write{n} {{ max_dispatches = 2  after = [research{n}] }}
  verify {{
    before_finish {{ with = [has_text{n}]  on_fail = revise  max_revisions = 1  then = abort }}
  }}
}}

test "part {n} is written" for part{n} {{
  input = {{ topic: "tides" }}
  mock orchestrator {{ script = [{{ assessment: "done", finish: {{ text: "The moon pulls the sea twice a day.", used: 1 }} }}] }}
  assert run.status == "finished"
}}
'''  # noqa: E501

HEAD = """orch 1

// A program of many parts.
param words: int = 200 @min(20)

model planner {
  id         = "openai/gpt-5-mini"
  max_tokens = 4k
}
model fast { id = "openai/gpt-5-mini"  timeout = 60s }
model smart { id = "anthropic/claude-sonnet-4-5" }
"""

#: What is typed, key by key, before what: a word in a prompt, a name, a setting, a declaration.
TYPED = (
    ("Look at more", "Be quick. "),
    ("the text is too short", "much "),
    ("claim }} (", "claim | trim }} {{ f."),
    ("max_per_round = 3", "max_parallel = 2 "),
    ("    stall  {", "    context { keep_last = 2 }\n"),
    ("/// Turns findings", 'model extra { id = "openai/gpt-5" }\n'),
    ("title: string }[]", "year: int, "),
    ("topic: string, audience", "depth: int = 1, "),
)

TARGET_MS = 50


def program(lines: int) -> str:
    """A program of at least so many lines that lints without a warning."""
    count = -(-(lines - HEAD.count("\n")) // UNIT.count("\n"))
    return HEAD + "".join(UNIT.format(n=n) for n in range(1, count + 1))


class Session:
    """A running server with one document open."""

    def __init__(self, path: Path, text: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "engine.cli", "lsp"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.uri = path.as_uri()
        self.version = 1
        self._send({"id": 1, "method": "initialize", "params": {"capabilities": {}}})
        self._until(lambda message: message.get("id") == 1)
        self._send({"method": "initialized", "params": {}})
        item = {"uri": self.uri, "languageId": "orch", "version": 1, "text": text}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": item}})
        self.found = self._findings()

    def type(self, line: int, column: int, text: str) -> float:
        """Insert a text; gives the CPU until the findings are there, in milliseconds."""
        before = self.cpu_ms()
        self.version += 1
        at = {"line": line, "character": column}
        self._send(
            {
                "method": "textDocument/didChange",
                "params": {
                    "textDocument": {"uri": self.uri, "version": self.version},
                    "contentChanges": [{"range": {"start": at, "end": at}, "text": text}],
                },
            }
        )
        self.found = self._findings()
        return self.cpu_ms() - before

    def reset(self, text: str) -> None:
        """Have another text, which is not measured."""
        self.version += 1
        document = {"uri": self.uri, "version": self.version}
        params = {"textDocument": document, "contentChanges": [{"text": text}]}
        self._send({"method": "textDocument/didChange", "params": params})
        self.found = self._findings()

    def cpu_ms(self) -> float:
        """The CPU the process has taken, all threads."""
        stats = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(stat.read_text().split()[0]) for stat in stats) / 1e6

    def close(self) -> None:
        """End it."""
        self._send({"id": 2, "method": "shutdown"})
        self._until(lambda message: message.get("id") == 2)
        self._send({"method": "exit"})
        self.process.wait()

    def _findings(self) -> list[dict[str, Any]]:
        message = self._until(
            lambda message: (
                message.get("method") == "textDocument/publishDiagnostics"
                and message["params"].get("version") == self.version
            )
        )
        found: list[dict[str, Any]] = message["params"]["diagnostics"]
        return found

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        stream: IO[bytes] = self.process.stdin  # type: ignore[assignment]
        stream.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        stream.flush()

    def _until(self, wanted: Any) -> dict[str, Any]:
        stream: IO[bytes] = self.process.stdout  # type: ignore[assignment]
        while True:
            size = 0
            while (line := stream.readline()).strip():
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    size = int(value)
            message: dict[str, Any] = json.loads(stream.read(size))
            if wanted(message):
                return message


def keys(text: str, part: int) -> Iterator[tuple[int, int, str]]:
    """The keys of all that is typed into one part, each with its place."""
    start = text.index(f"/// What the researcher of part {part} finds")
    for anchor, typed in TYPED:
        offset = text.index(anchor, start)
        for key in typed:
            before = text[:offset]
            yield before.count("\n"), offset - before.rfind("\n") - 1, key
            text = text[:offset] + key + text[offset:]
            offset += 1


def measure(lines: int) -> dict[str, Any]:
    """Type into the first, a middle and the last part of a program."""
    text = program(lines)
    parts = text.count("/// What the researcher")
    with tempfile.TemporaryDirectory() as folder:
        session = Session(Path(folder) / "parts.orch", text)
        clean = [item for item in session.found if item["severity"] < 3]
        taken: list[float] = []
        for part in (1, (parts + 1) // 2, parts):
            for line, column, key in keys(text, part):
                taken.append(session.type(line, column, key))
            session.reset(text)
        session.close()
    ordered = sorted(taken)
    return {
        "lines": text.count("\n"),
        "edits": len(taken),
        "findings_before": len(clean),
        "mean_ms": round(statistics.fmean(taken), 1),
        "median_ms": round(statistics.median(taken), 1),
        "p95_ms": round(ordered[int(len(ordered) * 0.95)], 1),
        "max_ms": round(ordered[-1], 1),
    }


def main() -> int:
    """Print a table; 1 if the target is missed."""
    if not os.path.isdir("/proc/self/task"):
        print("CPU of another process is read from /proc, which is not here", file=sys.stderr)
        return 2
    names = " ".join(f"{name:>8}" for name in ("median", "mean", "95 %", "most"))
    print(f"{'lines':>6} {'edits':>6} {names}   CPU, ms an edit")
    result: dict[str, Any] = {}
    for lines in (200, 1_000, 3_000):
        found = measure(lines)
        result[str(lines)] = found
        print(
            f"{found['lines']:>6} {found['edits']:>6} {found['median_ms']:>8} "
            f"{found['mean_ms']:>8} {found['p95_ms']:>8} {found['max_ms']:>8}"
        )
    median = result["1000"]["median_ms"]
    verdict = "met" if median <= TARGET_MS else "missed"
    print(f"target: {TARGET_MS} ms in the median at 1,000 lines; {verdict} with {median} ms")
    return 0 if median <= TARGET_MS else 1


if __name__ == "__main__":
    sys.exit(main())
