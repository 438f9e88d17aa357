"""Single faults of the kinds people make, each in an otherwise working file.

A fault replaces one piece of text, which occurs once, whatever the layout. It is caught if the linter reports `code` on
the line where the fault is: where the new text begins, or where `at` stands. A fault without a code
is one that the linter does not catch; it says why.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "tests" / "cases" / "clean" / "support"
REVIEW = ROOT / "workflows" / "repo_review"


class Fault(NamedTuple):
    """One fault.

    Attributes:
        what: In words, for the table of the documentation.
        code: The rule that reports it; "" where none does.
        at: A text on the line of the finding, where that is another than the fault's.
        file: Where the fault is, relative to the folder.
        folder: What it is a fault of; its entry file is `support.orch` or `repo_review.orch`.
        why: Why it is not caught.
    """

    what: str
    old: str
    new: str
    code: str
    at: str = ""
    file: str = "support.orch"
    folder: Path = SUPPORT
    why: str = ""


def review(what: str, old: str, new: str, code: str, at: str = "", why: str = "") -> Fault:
    """A fault in `workflows/repo_review`."""
    return Fault(what, old, new, code, at, "repo_review.orch", REVIEW, why)


FAULTS = (
    # ------------------------------------------------------------ names
    Fault("misspelt worker", "manual, write_reply, refund", "manual, write_replay, refund", "ORC101"),
    Fault("misspelt model", "  model  = fast\n  prompt = \"Which", "  model  = fsat\n  prompt = \"Which", "ORC101"),
    Fault("misspelt declaration", "worker write_reply(", "worker wirte_reply(", "ORC101"),
    Fault("misspelt setting", "    max_dispatches = 20", "    max_dispatch = 20", "ORC103"),
    Fault("misspelt keyword", "worker manual(", "wroker manual(", "ORC006"),
    Fault("misspelt type", "  total: int @min(0)", "  total: itn @min(0)", "ORC201"),
    Fault("misspelt constraint", "order: int, cents: int @min(1)) -> {", "order: int, cents: int @mni(1)) -> {", "ORC202"),
    Fault("misspelt param", "cents <= param.max_refund else", "cents <= param.max_refnd else", "ORC101"),
    Fault("misspelt secret", "\"Bearer \" ~ secret.STRIPE_KEY", "\"Bearer \" ~ secret.STRIP_KEY", "ORC101"),
    Fault("misspelt failure mode", "402 = declined", "402 = decline", "ORC101"),
    Fault("misspelt verifier in a hook", "with = [claims_hold, grounded]", "with = [claims_hold, gronded]", "ORC101"),
    Fault("misspelt name behind an alias", "model     = common.judge", "model     = common.jugde", "ORC101"),
    Fault("name used twice", "verifier small_enough(", "verifier grounded(", "ORC102", "verifier grounded(result"),
    Fault("setting in the wrong block", "    max_rounds     = 8", "    max_rounds     = 8\n    temperature = 1", "ORC103", "temperature = 1"),
    Fault("wrong kind of declaration", "server = desk", "server = fast", "ORC108"),
    review("misspelt field in an assert", "assert result.summary |", "assert result.sumary |", "ORC302"),
    review("misspelt worker", "complexity, risky_constructs, todos", "complexity, risky_construct, todos", "ORC101"),
    # ------------------------------------------------------------ imports and files
    Fault("import of a missing file", "import \"common.orch\"", "import \"comon.orch\"", "ORC106"),
    Fault("import of a missing name", "import fast, Queue", "import fast, Queues", "ORC101"),
    Fault("files that import each other", "orch 1\n\n/// Cheap", "orch 1\nimport \"support.orch\" as s\n\n/// Cheap", "ORC107", "import \"support.orch\"", "common.orch"),
    Fault("wrong reference to a JSON Schema", "#/$defs/Ticket\"", "#/$defs/Tickets\"", "ORC208"),
    Fault("invalid JSON Schema", "\"type\": \"integer\"", "\"type\": \"intger\"", "ORC207", "orch:schema Ticket from", "schemas/ticket.schema.json"),
    Fault("missing prompt file", "file(\"prompts/reply.j2\")", "file(\"prompts/replay.j2\")", "ORC309"),
    Fault("wrong Python module", "desk.orders:find_order\"", "desk.order:find_order\"", "ORC506"),
    Fault("wrong Python function", "desk.orders:find_order\"", "desk.orders:find_orders\"", "ORC506"),
    Fault("wrong Python argument name", "worker find_order(number:", "worker find_order(num:", "ORC505", "desk.orders:find_order"),
    Fault("parameter added in Python only", "def find_order(number: int)", "def find_order(number: int, shop: str)", "ORC505", "orch:desk.orders:find_order", "desk/orders.py"),
    review("wrong Python function", "repo_tools.history:churn\"", "repo_tools.history:churns\"", "ORC506"),
    # ------------------------------------------------------------ types
    Fault("number without a unit", "timeout = 10s", "timeout = 10", "ORC203"),
    Fault("wrong type of a setting", "max_parallel   = 2", "max_parallel   = \"two\"", "ORC202"),
    Fault("colon for an equals sign", "max_parallel   = 2", "max_parallel: 2", "ORC003"),
    Fault("no equals sign", "max_parallel   = 2", "max_parallel 2", "ORC004"),
    Fault("default of the wrong type", "refunded: int = 0", "refunded: int = \"none\"", "ORC204"),
    Fault("default outside its enum", "\"eu\" | \"us\" = \"eu\"", "\"eu\" | \"us\" = \"uk\"", "ORC204"),
    Fault("constraints that no value satisfies", "@length(1, 400)", "@length(400, 1)", "ORC205"),
    Fault("unclosed block", "  repair { max = 2 }\n}\n\n/// Looks an order up", "  repair { max = 2 }\n\n/// Looks an order up", "ORC002", "worker classify("),
    Fault("unterminated string", "proves.\"", "proves.", "ORC005"),
    Fault("unterminated key of a map", "\"Idempotency-Key\": task.key }", "\"Idempotency-Key: task.key }", "ORC001"),
    Fault("Python comment", "// Sorts tickets", "# Sorts tickets", "ORC907"),
    # ------------------------------------------------------------ prompts
    Fault("field that the schema does not have", "{{ result.reply }}", "{{ result.replay }}", "ORC302"),
    Fault("field that the schema does not have, in a file", "{{ note.fact }}", "{{ note.claim }}", "ORC302", "", "prompts/reply.j2"),
    Fault("variable that is not an input", "{{ subject | untrusted }}", "{{ title | untrusted }}", "ORC303"),
    Fault("filter that does not exist", "{{ subject | untrusted }}", "{{ subject | untrustd }}", "ORC304"),
    Fault("single braces", "takes this? {{ subject | untrusted }}", "takes this? {subject} {{ subject | untrusted }}", "ORC310"),
    Fault("loop that is not closed", "{% endfor %}", "", "ORC301", "{% for", "prompts/reply.j2"),
    Fault("loop over a string", "{% for note in notes %}", "{% for note in common.house_style %}", "ORC306", "", "prompts/reply.j2"),
    Fault("input that the prompt does not use", "Which queue takes this? {{ subject | untrusted }}", "Which queue takes this?", "ORC307", "worker classify("),
    Fault("value that may be null", "{% if note.source %} ({{ note.source }}){% endif %}", "({{ note.source | upper }})", "ORC305", "", "prompts/reply.j2"),
    Fault("placeholder in a text that is not a template", "\"https://api.stripe.example/v1/refunds\"", "\"https://api.stripe.example/v1/{{ order }}\"", "ORC310"),
    review("variable that is not an input", "closely at no more than {{ max_files }}", "closely at no more than {{ max_file }}", "ORC303"),
    # ------------------------------------------------------------ bounds
    Fault("no bound on rounds", "    max_rounds     = 8\n", "", "ORC401", "  policy {"),
    Fault("revision without a bound", "on_fail = revise  max_revisions = 1  then = abort", "on_fail = revise  then = abort", "ORC402"),
    Fault("retry without a bound", "  retry   { max = 2 }", "  retry   { backoff = 1s }", "ORC403"),
    Fault("orchestrator that calls itself", "manual, write_reply, refund", "manual, write_reply, refund, support", "ORC404", "orchestrator support("),
    Fault("no budget", "    budget  { cost = $0.50  tokens = 300k  time = 10m }\n", "", "ORC405", "orchestrator support("),
    Fault("budget below one call", "cost = $0.50  tokens = 300k", "cost = $0.0001  tokens = 300k", "ORC408", "orchestrator support("),
    Fault("worker slower than the run", "  parse   = lines\n  ok_exit = [0, 1]\n  timeout = 5s", "  parse   = lines\n  ok_exit = [0, 1]\n  timeout = 20m", "ORC413", "worker manual("),
    Fault("nothing said after the last revision", "max_revisions = 2  then = escalate", "max_revisions = 2", "ORC414", "before_finish {"),
    Fault("rounds of more tasks than an answer can hold", "max_per_round  = 4\n    max_parallel   = 2\n    max_dispatches = 20\n", "max_per_round  = 2000\n    max_parallel   = 2\n", "ORC415"),
    review("no bound on rounds", "    max_rounds     = 8\n", "", "ORC401", "  policy {"),
    # ------------------------------------------------------------ workers and models
    Fault("misspelt id of a model", "\"openai/gpt-5-mini\"  reasoning_effort", "\"openai/gpt-5-mni\"  reasoning_effort", "ORC501", "", "common.orch"),
    Fault("model that answers no prompts", "\"openai/gpt-5-mini\"  reasoning_effort = low", "\"openai/text-embedding-3-small\"", "ORC502", "", "common.orch"),
    Fault("retry of what may happen once", "  effect  = write\n  retry", "  effect  = once\n  retry", "ORC503", "retry   { max = 2 }"),
    Fault("retry without the key", ", \"Idempotency-Key\": task.key }", " }", "ORC503", "retry   { max = 2 }"),
    Fault("command that may hang", "  ok_exit = [0, 1]\n  timeout = 5s", "  ok_exit = [0, 1]", "ORC504", "worker manual("),
    Fault("tool that is not allowed", "tool   = \"get_ticket\"", "tool   = \"delete_ticket\"", "ORC507"),
    Fault("server without a version", "@acme/desk-mcp@2.3.1", "@acme/desk-mcp", "ORC508"),
    Fault("input pasted into a shell", "[\"rg\", \"--no-filename\", \"-e\", words, \"manual\"]", "[\"sh\", \"-c\", \"rg \" ~ words ~ \" manual\"]", "ORC511"),
    Fault("undeclared effect", "  effect = read\n}\n\n/// Says what", "}\n\n/// Says what", "ORC104", "worker read_ticket("),
    # ------------------------------------------------------------ verifiers and gates
    Fault("nothing checks the result", "    before_finish { with = [claims_hold, grounded]  on_fail = revise  max_revisions = 2  then = escalate }\n", "", "ORC601", "orchestrator support("),
    Fault("model that judges its own work", "model     = common.judge", "model     = fast", "ORC602", "verifier grounded("),
    Fault("input that no hook offers", "verifier grounded(result: Outcome, goal: string)", "verifier grounded(result: Outcome, goal: string, source: string)", "ORC603", "before_finish {"),
    Fault("check that always passes", "pass_when = ok and score > 0.6", "pass_when = true", "ORC604"),
    Fault("gate without a timeout", "  timeout    = 24h\n", "", "ORC605", "verifier refund_approval("),
    Fault("gate that approves by itself", "on_timeout = abort", "on_timeout = approve", "ORC606"),
    Fault("verifier that is not used", "with = [small_enough, refund_approval]", "with = [refund_approval]", "ORC607", "verifier small_enough("),
    Fault("worker that is not dispatched", "find_order, manual, write_reply", "find_order, write_reply", "ORC701", "worker manual("),
    Fault("workers that wait for each other", "limit refund { max_dispatches = 1  after = [find_order] }", "limit refund { max_dispatches = 1  after = [find_order] }\n  limit find_order { after = [refund] }", "ORC702", "limit refund {"),
    Fault("wait for what is not dispatched", "after = [read_ticket]  budget", "after = [support]  budget", "ORC703"),
    review("input of a verifier renamed, not its function's", "verifier claims_resolve(result: Report, goal: string)", "verifier claims_resolve(report: Report, goal: string)", "ORC505", "verify:claims_resolve"),
    # ------------------------------------------------------------ security
    Fault("effect within reach of strangers", "    before_dispatch refund { with = [small_enough, refund_approval]  on_fail = abort }\n", "", "ORC801", "workers      = ["),
    Fault("check that only warns before an effect", "with = [small_enough, refund_approval]  on_fail = abort", "with = [small_enough, refund_approval]  on_fail = warn", "ORC801", "workers      = ["),
    Fault("no fence around a stranger's text", "{{ subject | untrusted }}", "{{ subject }}", "ORC802"),
    Fault("no fence, in a file", "{{ ticket | untrusted }}", "{{ ticket | json }}", "ORC802", "", "prompts/reply.j2"),
    Fault("secret in a prompt", "{{ goal }} Does this", "{{ goal }} {{ secret.DESK_KEY }} Does this", "ORC803"),
    Fault("key in a file", "\"Bearer \" ~ secret.STRIPE_KEY", "\"Bearer sk_live_4eC39HqLyjWDarjtT1zdp7dc\"", "ORC804"),
    Fault("a stranger's text in the goal", "tone: string = \"friendly\")", "tone: string @untrusted = \"friendly\")", "ORC806", "goal         ="),
    Fault("command that fetches from anywhere", "[\"rg\", \"--no-filename\", \"-e\", words, \"manual\"]", "[\"curl\", \"-s\", words]", "ORC807"),
    # ------------------------------------------------------------ tests
    Fault("mock outside of an enum", "finish: { queue: \"billing\"", "finish: { queue: \"biling\"", "ORC911"),
    Fault("mock that lacks a field", "subject: \"Refund\", body:", "body:", "ORC903"),
    Fault("mock of a mode not declared", "mock find_order { fails = not_found }", "mock find_order { fails = declined }", "ORC101"),
    Fault("input that does not fit", "input = { ticket: 7 }", "input = { ticket: \"7\" }", "ORC903"),
    Fault("mock left out", "  mock claims_hold { returns = { ok: true } }\n", "", "ORC904", "test \"an order"),
    Fault("task of a worker there is not", "worker: \"find_order\", input", "worker: \"find_orders\", input", "ORC911"),
    Fault("task whose input does not fit", "input: { number: 3 }", "input: { order: 3 }", "ORC911"),
    Fault("assertion on a field there is not", "output.queue == \"billing\"", "output.team == \"billing\"", "ORC302"),
    Fault("assertion that compares with no member", "output.queue == \"billing\"", "output.queue == \"biling\"", "ORC202"),
    # ------------------------------------------------------------ beyond a checker of files
    Fault("number that is valid and wrong", "max_refund: int = 200", "max_refund: int = 20000", "", why="only the author knows the right one"),
    Fault("the wrong one of two workers", "after = [find_order]", "after = [classify]", "", why="both exist, and either may be intended"),
    Fault("host that does not exist", "api.stripe.example", "api.strip.example", "", why="no file lists the existing hosts"),
    Fault("tool that the server does not have", "\"search_articles\"", "\"serch_articles\"", "", why="found only after `orch mcp snapshot` has stored the tools of the server"),
)  # fmt: skip
