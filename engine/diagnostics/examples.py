"""For each rule: why it is there, a bad example and a good one; `orch explain` prints them.

The examples are pieces of a file in which `PRELUDE` stands before them (those that begin with
`orch` are whole files). A test runs them all: the bad one reports the rule, the good one does
not. Rules whose fault lies in another file have words alone.
"""

from __future__ import annotations

import msgspec

__all__ = ["EXAMPLES", "PRELUDE", "Example"]


class Example(msgspec.Struct, frozen=True):
    """Why a rule is there, and what it reports and what it does not; empty where none is shown."""

    why: str
    bad: str = ""
    good: str = ""


#: What the examples take for granted.
PRELUDE = """orch 1
model fast { id = "openai/gpt-5-mini" }
model judge { id = "gemini/gemini-2.5-pro" }
secret KEY
schema Finding { claim: string, quote: string? }
worker search(query: string) -> string via llm { model = fast  prompt = "{{ query }}" }
verifier sound(result: string) via rules { assert result else "empty" }
"""


def _llm(prompt: str, inputs: str = "f: Finding") -> str:
    return f'worker tell({inputs}) -> string via llm {{ model = fast  prompt = "{prompt}" }}'


def _orchestrator(inside: str, policy: str = "max_rounds = 3  budget { cost = $0.10 }") -> str:
    return f"""orchestrator ask(topic: string) -> string {{
  model   = fast
  goal    = "Explain {{{{ topic }}}}."
  workers = [search]
  policy {{ {policy} }}
  {inside}
}}"""


_PAGE = "schema Page = string @length(max: 100_000)\n"
_PAGES = "{% for p in pages %}{{ p }}{% endfor %}"
_SLOW = """
worker slow(q: string) -> string via llm { model = fast  prompt = "{{ q }}"  timeout = 1m }"""
_VERIFY = "verify { before_finish { %s } }"
_HTTP = 'worker get(q: string) -> json via http {{ url = "https://a.example/"  timeout = 5s {} }}'
_GATE = 'verifier gate(result: string) via human {{ message = "Send it?"  {} }}'
_TEST = 'test "one" for ask {{ input = {{ topic: "tea" }}  mock search {{ {} }} }}'

_WHOLE = """orch 1
model fast { id = "openai/gpt-5-mini" }
worker search(query: string) -> string via llm { model = fast  prompt = "{{ query }}" }
""" + _orchestrator("")

_SERVER = 'server kb via mcp { command = ["kb"]  allow = ["find"] }'
_TOOL = 'worker look(key: string) -> json via mcp {{ server = kb  tool = "{}"  effect = read }}'
_PAGES_READ = """worker read_page(u: url) -> string via command {
  run = ["fetch", u]  effect = read  trust = untrusted  timeout = 5s  parse = text
}
worker save(text: string) -> string via command {
  run = ["save", text]  effect = write  timeout = 5s  parse = text
}
"""


def _acting(verify: str) -> str:
    return f"""orchestrator bugfix(topic: string) -> string {{
  model   = fast
  goal    = "Fix {{{{ topic }}}}."
  workers = [read_page, save]
  policy {{ max_rounds = 3  budget {{ cost = $0.10 }} }}
  {verify}
}}"""


_DESCRIBED = "".join(
    f"/// Says {what} of a topic.\n{_llm('{{ q }}', 'q: string').replace('tell', what)}\n"
    for what in ("less", "more")
)
_COMMAND = (
    "worker find(q: string) -> string via command {{\n  run = {}\n  effect = read  timeout = 5s }}"
)
_CURL = """worker fetch(u: string) -> string via command {
  run = ["curl", "-s", u]  effect = read  timeout = 5s  trust = untrusted  parse = text
}
"""
_MAIL = """worker mail(q: string) -> string via http {
  url = "https://mail.example/"  query = { q: q }  headers = { "X-Key": secret.KEY }
  trust = trusted  timeout = 5s
}
worker page(u: string) -> string via http {
  url = "https://a.example/" ~ (u | segment)  timeout = 5s
}
"""


def _trifecta(workers: str) -> str:
    return _orchestrator("").replace("[search]", f"[{workers}]")


_LIVE = """test "one" for ask {
  input = { topic: "tea" }
  mock orchestrator { script = [
    { tasks: [{ id: "a", worker: "search", input: { query: "tea" } }] },
    { finish: "a drink" },
  ] }
  %s
}"""


#: By code.
EXAMPLES: dict[str, Example] = {
    "ORC001": Example(
        "Nothing after the fault could be trusted; the message says what could stand there.",
        "model m { id = }",
        'model m { id = "openai/gpt-5-mini" }',
    ),
    "ORC002": Example(
        "Everything up to the end of the file would belong to the block.",
        'model m { id = "openai/gpt-5-mini"',
        'model m { id = "openai/gpt-5-mini" }',
    ),
    "ORC003": Example(
        "`:` gives a type to a name or a value to a key of a map; `=` gives a value to a setting.",
        'model m { id: "openai/gpt-5-mini" }',
        'model m { id = "openai/gpt-5-mini" }',
    ),
    "ORC004": Example(
        "A setting is a name, `=` and a value.",
        'model m { id "openai/gpt-5-mini" }',
        'model m { id = "openai/gpt-5-mini" }',
    ),
    "ORC005": Example(
        'A string ends on its line; a text over several lines stands between `"""`.',
        'model m { id = "openai/gpt-5-mini }\n',
        'model m { id = "openai/gpt-5-mini" }\n',
    ),
    "ORC006": Example(
        "A misspelt keyword would leave out a whole declaration.",
        'modle m { id = "openai/gpt-5-mini" }',
        'model m { id = "openai/gpt-5-mini" }',
    ),
    "ORC007": Example(
        "The edition says which language the file is written in, for the engines to come.",
        'model m { id = "x" }',
        'orch 1\nmodel m { id = "x" }',
    ),
    "ORC008": Example(
        "What looks wrong in a newer edition may be right there, so nothing else is reported.",
        "orch 9",
        "orch 1",
    ),
    "ORC101": Example(
        "A misspelt name would only show when the run gets there.",
        _llm("{{ q }}", "q: string").replace("fast", "fats"),
        _llm("{{ q }}", "q: string"),
    ),
    "ORC102": Example(
        "Two things of one name: nobody could tell which is meant.",
        "schema A { x: int }\nschema A { y: int }",
        "schema A { x: int }\nschema B { y: int }",
    ),
    "ORC103": Example(
        "A misspelt setting would be ignored; so each kind of body has a closed list of settings.",
        'model m { id = "x"  temprature = 0 }',
        'model m { id = "x"  temperature = 0 }',
    ),
    "ORC104": Example(
        "The body cannot be carried out without this setting.",
        "model m { temperature = 0 }",
        'model m { id = "x"  temperature = 0 }',
    ),
    "ORC105": Example(
        "One of the two would be ignored.",
        'model m { id = "x"  timeout = 30s  timeout = 40s }',
        'model m { id = "x"  timeout = 30s }',
    ),
    "ORC106": Example("Paths are relative to the file that names them."),
    "ORC107": Example("Neither file could be read before the other; move what both need."),
    "ORC108": Example(
        "A model cannot be dispatched, a worker cannot plan.",
        _orchestrator("").replace("[search]", "[search, judge]"),
        _orchestrator(""),
    ),
    "ORC109": Example(
        "In expressions the input hides the name that the engine gives.",
        _llm("{{ param }}", "param: string"),
        _llm("{{ params }}", "params: string"),
    ),
    "ORC110": Example(
        "A finding quotes what it is about. If a file could name any other, checking a stranger's "
        "file would print parts of your own. The project is the repository that holds the file, "
        "else the folder of the nearest `orch.toml` or `pyproject.toml`, else the file's own "
        "folder; `ORCH_PROJECT` names a larger one."
    ),
    "ORC201": Example(
        "A type is built in or declared with `schema`.",
        "schema A { x: strng }",
        "schema A { x: string }",
    ),
    "ORC202": Example(
        "A value of the wrong type would fail at run time, or mean something else.",
        'model m { id = "x"  max_tokens = "2k" }',
        'model m { id = "x"  max_tokens = 2k }',
    ),
    "ORC203": Example(
        "Thirty what? Units are part of the number, so a reader need not know the setting.",
        'model m { id = "x"  timeout = 30 }',
        'model m { id = "x"  timeout = 30s }',
    ),
    "ORC204": Example(
        "A default goes through the same contract as a given value.",
        'schema A { x: int = "3" }',
        "schema A { x: int = 3 }",
    ),
    "ORC205": Example(
        "A contract that nothing can satisfy fails every call.",
        "schema A { x: int @min(5) @max(3) }",
        "schema A { x: int @min(3) @max(5) }",
    ),
    "ORC206": Example(
        "A value would have to contain itself without an end.",
        "schema Tree { left: Tree }",
        "schema Tree { left: Tree? }",
    ),
    "ORC207": Example(
        "The file is read as its own dialect means it, so it has to be valid there: a JSON Schema "
        "of draft-04, 06, 07, 2019-09 or 2020-12, or an OpenAPI 3.0 document."
    ),
    "ORC208": Example("The schema would accept anything, or nothing, at this place."),
    "ORC209": Example(
        "Where two records fit one value, nobody can tell which was meant: neither a prompt nor "
        "the code that reads it.",
        "schema Reply { text: string }\nschema Question { text: string, to: string? }\n"
        + _llm("{{ q }}", "q: string").replace("-> string", "-> Reply | Question"),
        'schema Reply { kind: "reply", text: string }\n'
        'schema Question { kind: "question", text: string, to: string? }\n'
        + _llm("{{ q }}", "q: string").replace("-> string", "-> Reply | Question"),
    ),
    "ORC210": Example(
        "Providers make sure that an answer fits its schema, if it is one without open places. "
        "Otherwise the schema is words in the prompt, and more answers have to be repaired.",
        _llm("{{ q }}", "q: string").replace("-> string", "-> { found: json }"),
        _llm("{{ q }}", "q: string").replace("-> string", "-> { found: string[] }"),
    ),
    "ORC211": Example(
        "What a planner knows of a worker is its name, its inputs and its doc comment. Told where "
        "most workers of the same orchestrator are described.",
        _DESCRIBED + _orchestrator("").replace("[search]", "[search, less, more]"),
        _DESCRIBED + _orchestrator("").replace("[search]", "[less, more]"),
    ),
    "ORC212": Example(
        "`const` says nothing in a draft-04 file, `nullable` nothing outside OpenAPI 3.0, and "
        "beside `$ref` nothing counts until 2019-09. Its author meant what is not checked."
    ),
    "ORC301": Example(
        "The text could not be rendered.",
        _llm("{{ f.claim }"),
        _llm("{{ f.claim }}"),
    ),
    "ORC302": Example(
        "A misspelt field would be an error in the middle of a run.",
        _llm("{{ f.clam }}"),
        _llm("{{ f.claim }}"),
    ),
    "ORC303": Example(
        "A template sees the inputs, `param` and the templates, nothing else.",
        _llm("{{ quesion }}", "question: string"),
        _llm("{{ question }}", "question: string"),
    ),
    "ORC304": Example(
        "Filters and tests are those of Jinja2 and a few more.",
        _llm("{{ f.claim | uper }}"),
        _llm("{{ f.claim | upper }}"),
    ),
    "ORC305": Example(
        "Null has no fields, and prints as nothing that was meant.",
        _llm("{{ f.quote }}"),
        _llm("{{ f.quote or 'no quote' }}"),
    ),
    "ORC306": Example(
        "A loop over a string gives its letters.",
        _llm("{% for c in f.claim %}{{ c }}{% endfor %}"),
        _llm("{% for c in f.claim.splitlines() %}{{ c }}{% endfor %}"),
    ),
    "ORC307": Example(
        "The orchestrator fills the input, and the model never sees it.",
        _llm("{{ q }}", "q: string, audience: string"),
        _llm("{{ q }} for {{ audience }}", "q: string, audience: string"),
    ),
    "ORC308": Example(
        "A whole object in a prompt is rarely meant; `json` says that it is.",
        _llm("{{ f }}"),
        _llm("{{ f | json }}"),
    ),
    "ORC309": Example(
        "Paths are relative to the file; templates are looked up when a file is checked.",
        'worker tell() -> string via llm { model = fast  prompt = file("nowhere.j2") }',
        'worker tell() -> string via llm { model = fast  prompt = "Hello" }',
    ),
    "ORC310": Example(
        "The model would read the braces, not the value.",
        _llm("Topic: {topic}", "topic: string"),
        _llm("Topic: {{ topic }}", "topic: string"),
    ),
    "ORC311": Example(
        "A provider refuses such a prompt, and the run finds out only when values are long.",
        _PAGE + _llm(_PAGES, "pages: Page[] @items(max: 20)"),
        _PAGE + _llm(_PAGES, "pages: Page[] @items(max: 5)"),
    ),
    "ORC312": Example(
        "The schema is sent along, with its doc comments; a second one in the prompt costs tokens "
        "and is forgotten when the first changes.",
        "worker tell(q: string) -> { title: string, body: string } via llm {\n  model = fast\n"
        '  prompt = """{{ q }} Answer as {"title": "...", "body": "..."}."""\n}',
        "worker tell(q: string) -> { title: string, body: string } via llm {\n  model = fast\n"
        '  prompt = "{{ q }} Answer in one paragraph."\n}',
    ),
    "ORC313": Example(
        "Rendering would never end.",
        'template a = "{{ a }}"',
        'template a = "text"',
    ),
    "ORC314": Example(
        "In a template `{# ... #}` is a comment, as in Jinja2, and no model reads it. In a prompt "
        "about LaTeX, Lua or templates it was meant as text.",
        _llm("Write {#x} and {#y #} of {{ q }}", "q: string"),
        _llm("Write {{ '{#' }}x} of {{ q }} {# a note #}", "q: string"),
    ),
    "ORC401": Example(
        "Every loop is bounded before it runs.",
        _orchestrator("", "budget { cost = $0.10 }"),
        _orchestrator(""),
    ),
    "ORC402": Example(
        "A verifier that never passes would keep the loop going.",
        _orchestrator(_VERIFY % "with = sound  on_fail = revise"),
        _orchestrator(_VERIFY % "with = sound  on_fail = revise  max_revisions = 1"),
    ),
    "ORC403": Example(
        "A retry without a number has no worst case.",
        'model m { id = "x"  retry { on = [timeout] } }',
        'model m { id = "x"  retry { max = 2  on = [timeout] } }',
    ),
    "ORC404": Example(
        "The bound of such a program would be infinite.",
        _orchestrator("").replace("[search]", "[ask]"),
        _orchestrator("", "max_rounds = 3  max_depth = 2").replace("[search]", "[ask]"),
    ),
    "ORC405": Example(
        "Rounds bound the work, not the money.",
        _orchestrator("", "max_rounds = 3"),
        _orchestrator(""),
    ),
    "ORC406": Example(
        "The bound is computed before the run starts.",
        _orchestrator("", "max_rounds = topic"),
        _orchestrator(""),
    ),
    "ORC407": Example(
        "A bound that is never reached bounds nothing; a reader may rely on it.",
        _orchestrator("", "max_rounds = 3  budget { cost = $9_000.00 }"),
        _orchestrator(""),
    ),
    "ORC408": Example(
        "Not even one round could be paid, so the run would end before it began.",
        _orchestrator("", "max_rounds = 3  budget { tokens = 1k }"),
        _orchestrator("", "max_rounds = 3  budget { tokens = 50k }"),
    ),
    "ORC409": Example(
        "The parent would be exhausted before its child is.",
        _orchestrator("", "max_rounds = 3  budget { cost = $5.00 }").replace("ask", "child")
        + "\n"
        + _orchestrator("").replace("[search]", "[child]"),
        _orchestrator("", "max_rounds = 3  budget { cost = $0.05 }").replace("ask", "child")
        + "\n"
        + _orchestrator("").replace("[search]", "[child]"),
    ),
    "ORC410": Example(
        "The limit can never bite; it hides the true bound from a reader.",
        _orchestrator("", "max_rounds = 3  max_per_round = 2  max_dispatches = 40"),
        _orchestrator("", "max_rounds = 3  max_per_round = 2  max_dispatches = 4"),
    ),
    "ORC411": Example(
        "A loop that stands still pays for every round up to the last.",
        _orchestrator("", "max_rounds = 9"),
        _orchestrator("", "max_rounds = 9  stall { after = 2  action = replan }"),
    ),
    "ORC413": Example(
        "The budget ends the run before the worker can answer.",
        _orchestrator("", "max_rounds = 3  budget { time = 5s }").replace("[search]", "[slow]")
        + _SLOW,
        _orchestrator("", "max_rounds = 3  budget { time = 5m }").replace("[search]", "[slow]")
        + _SLOW,
    ),
    "ORC414": Example(
        "`abort` is what happens; a reader should see it.",
        _orchestrator(_VERIFY % "with = sound  on_fail = revise  max_revisions = 1"),
        _orchestrator(_VERIFY % "with = sound  on_fail = revise  max_revisions = 1  then = abort"),
    ),
    "ORC501": Example(
        "A misspelt id would only fail when the model is called, and nothing is known of its price "
        "until then.",
        'model m { id = "openai/gpt-5-mni" }',
        'model m { id = "openai/gpt-5-mini" }',
    ),
    "ORC502": Example(
        "The call would be refused, or cut short.",
        'model m { id = "openai/text-embedding-3-small" }',
        'model m { id = "openai/gpt-5-mini" }',
    ),
    "ORC503": Example(
        "A repeated payment is a second payment.",
        _HTTP.format('method = "POST"  effect = write  retry { max = 2 }'),
        _HTTP.format(
            'method = "POST"  effect = write  headers = { Key: task.key }  retry { max = 2 }'
        ),
    ),
    "ORC504": Example(
        "A call that hangs holds its place for ever.",
        _HTTP.format("").replace("timeout = 5s", ""),
        _HTTP.format(""),
    ),
    "ORC505": Example("The function is called with the inputs by name."),
    "ORC506": Example(
        "Modules are looked up beside the file first.",
        'worker f(q: string) -> json via python { call = "no_such_module:run" }',
        'worker f(obj: json) -> json via python { call = "json:dumps" }',
    ),
    "ORC507": Example(
        "`allow` is the list a reviewer reads: what is not in it cannot be called.",
        _SERVER + "\n" + _TOOL.format("drop"),
        _SERVER + "\n" + _TOOL.format("find"),
    ),
    "ORC508": Example(
        "A server has the rights of its secrets. Whoever can publish a new version of its package "
        "has them too, unless the version is named.",
        'server kb via mcp { command = ["npx", "-y", "zendesk-mcp-server"] }',
        'server kb via mcp { command = ["npx", "-y", "zendesk-mcp-server@1.4.2"] }',
    ),
    "ORC509": Example(
        "A fallback is asked with the same prompt. One that holds less fails when it is needed: "
        "when the run has grown long.",
        'model big { id = "openai/own"  context = 200k  fallback = [little] }\n'
        'model little { id = "openai/own-small"  context = 32k }',
        'model big { id = "openai/own"  context = 200k  fallback = [little] }\n'
        'model little { id = "openai/own-small"  context = 200k }',
    ),
    "ORC511": Example(
        "`run` is a list so that no input becomes an order. A shell reads its argument as a "
        "program all the same: `; rm -rf /` in the input would be carried out.",
        _COMMAND.format('["sh", "-c", "grep -rn \'" ~ q ~ "\' ."]'),
        _COMMAND.format('["sh", "-c", "grep -rn \\"$1\\" .", "sh", q]'),
    ),
    "ORC512": Example("The tools of a server are kept in a file beside the program, and compared."),
    "ORC513": Example("The tool's own schema, as it was kept, says what it takes."),
    "ORC514": Example("The file of kept tools is written by the engine; make it again."),
    "ORC515": Example(
        "The run imports the module all the same; whether the function is there, and takes the "
        "inputs, is found out then."
    ),
    "ORC601": Example(
        "The planner would be the only judge of its own work.",
        _orchestrator(""),
        _orchestrator(_VERIFY % "with = sound"),
    ),
    "ORC602": Example(
        "A model shares its own blind spots.",
        'verifier fair(result: string) via llm { model = fast  prompt = "{{ result }}" }\n'
        + _orchestrator(_VERIFY % "with = fair"),
        'verifier fair(result: string) via llm { model = judge  prompt = "{{ result }}" }\n'
        + _orchestrator(_VERIFY % "with = fair"),
    ),
    "ORC603": Example(
        "A hook fills a verifier's inputs by their names.",
        "verifier fair(evidence: string) via rules { assert evidence }\n"
        + _orchestrator(_VERIFY % "with = fair"),
        _orchestrator(_VERIFY % "with = sound"),
    ),
    "ORC604": Example(
        "The verifier would pass whatever it says.",
        'verifier fair(result: string) via llm { model = judge  prompt = "{{ result }}"  '
        "pass_when = true }",
        'verifier fair(result: string) via llm { model = judge  prompt = "{{ result }}"  '
        "pass_when = score > 0.8 }",
    ),
    "ORC605": Example(
        "A run would wait for a person who never comes.",
        _GATE.format(""),
        _GATE.format("timeout = 2h"),
    ),
    "ORC606": Example(
        "Silence is no consent.",
        _GATE.format("timeout = 2h  on_timeout = approve"),
        _GATE.format("timeout = 2h  on_timeout = abort"),
    ),
    "ORC607": Example(
        "It looks as if something were checked.",
        _orchestrator(""),
        _orchestrator(_VERIFY % "with = sound"),
    ),
    "ORC701": Example(
        "It can never be dispatched.",
        _orchestrator("") + "\n" + _llm("{{ f.claim }}"),
        _orchestrator("").replace("[search]", "[search, tell]") + "\n" + _llm("{{ f.claim }}"),
    ),
    "ORC702": Example(
        "Each waits for the other.",
        _orchestrator("limit search { after = [search] }"),
        _orchestrator("limit search { max_dispatches = 2 }"),
    ),
    "ORC703": Example(
        "What it waits for can never have run.",
        _orchestrator("limit search { after = [tell] }") + "\n" + _llm("{{ f.claim }}"),
        _orchestrator("limit search { after = [tell] }").replace("[search]\n", "[search, tell]\n")
        + "\n"
        + _llm("{{ f.claim }}"),
    ),
    "ORC704": Example(
        "Outputs go from worker to worker by reference. What the orchestrator itself writes, it "
        "copies from previews that are cut at `preview`.",
        _orchestrator("").replace("-> string", "-> Finding"),
        _orchestrator(""),
    ),
    "ORC705": Example(
        "What nobody uses misleads the reader.",
        _WHOLE + "\nschema Unused { x: int }",
        _WHOLE,
    ),
    "ORC801": Example(
        "A web page could tell the model what to do, and it would be done. At run time such a "
        "task is denied; here the file says so before anything is spent.",
        _PAGES_READ + _acting(""),
        _PAGES_READ
        + 'verifier gate(input: json) via human { message = "Save it?"  timeout = 1h }\n'
        + _acting("verify { before_dispatch save { with = gate  on_fail = abort } }"),
    ),
    "ORC802": Example(
        "Without a fence a model cannot tell where the stranger's text ends and yours goes on.",
        _llm("Sum up: {{ page }}", "page: string @untrusted"),
        _llm("Sum up: {{ page | untrusted }}", "page: string @untrusted"),
    ),
    "ORC803": Example(
        "A prompt goes to a provider, into the journal and the logs.",
        _llm("{{ q }} {{ secret.KEY }}", "q: string"),
        _HTTP.format("headers = { Key: secret.KEY }"),
    ),
    "ORC804": Example(
        "What stands in a file is in every copy of it, and in its history for good.",
        'server kb via mcp { url = "https://kb.acme.dev/mcp"\n'
        '  headers = { "X-Api-Key": "q7Rv2ZkP9sWm4TnX8bLd" } }',
        'server kb via mcp { url = "https://kb.acme.dev/mcp"\n'
        '  headers = { "X-Api-Key": secret.KEY } }',
    ),
    "ORC805": Example(
        "A stranger's text can tell the planner to read what is private and to put it into an "
        "address.",
        _MAIL + _trifecta("mail, page"),
        _MAIL + _trifecta("mail"),
    ),
    "ORC806": Example(
        "The goal stands in every prompt, as what is to be reached. A stranger's text in it is an "
        "order.",
        _orchestrator("").replace("topic: string", "topic: string @untrusted"),
        _orchestrator("")
        .replace("topic: string", "topic: string @untrusted")
        .replace("{{ topic }}", "{{ topic | untrusted }}"),
    ),
    "ORC807": Example(
        "An `http` worker reaches only hosts that stand in its file; what a command reaches, "
        "nobody can see. There is no setting that takes the network away from a command.",
        _CURL + _orchestrator("").replace("[search]", "[search, fetch]"),
        _CURL.replace(
            'via command {\n  run = ["curl", "-s", u]  effect = read',
            'via http {\n  url = "https://a.example/" ~ (u | segment)',
        ).replace("  parse = text", "")
        + _orchestrator("").replace("[search]", "[search, fetch]"),
    ),
    "ORC808": Example(
        "Taint begins where text from outside is declared. An `http` worker is untrusted by "
        "itself; of a command nobody knows.",
        _CURL.replace("  trust = untrusted", ""),
        _CURL,
    ),
    "ORC809": Example(
        "A model chooses the text: `x/../../admin` would be another path of the same host, asked "
        "for with the worker's key. Such a value is refused when it comes; `segment` encodes it. "
        "Numbers, choices of words and texts with a plain pattern need nothing.",
        "worker profile(id: string) -> json via http {\n"
        '  url = "https://a.example/users/" ~ id ~ "/profile"  timeout = 5s\n}',
        "worker profile(id: string) -> json via http {\n"
        '  url = "https://a.example/users/" ~ (id | segment) ~ "/profile"  timeout = 5s\n}',
    ),
    "ORC901": Example(
        "A suppression that is no longer needed would hide the next fault.",
        'model m { id = "x" }  // orch: allow[ORC302] why',
        'model m { id = "x" }',
    ),
    "ORC902": Example(
        "A file that has tests for one orchestrator and none for another looks tested, and is not.",
        _orchestrator("") + '\ntest "one" for search { mock fast { returns = "tea" }  '
        'input = { query: "tea" } }',
        _orchestrator("")
        + "\n"
        + _TEST.format('returns = "tea"').replace(
            "mock search", 'mock orchestrator { script = [{ finish: "tea" }] }  mock search'
        ),
    ),
    "ORC903": Example(
        "A test that feeds impossible values proves nothing.",
        _orchestrator("") + "\n" + _TEST.format("returns = 3"),
        _orchestrator("") + "\n" + _TEST.format('returns = "found"'),
    ),
    "ORC904": Example(
        "A test calls nothing live: it fails where it would.",
        _orchestrator("") + "\n" + _LIVE % "",
        _orchestrator("") + "\n" + _LIVE % 'mock search { returns = "a drink" }',
    ),
    "ORC905": Example(
        "Layout is for `orch fmt`, and `orch fmt --check` is how CI asks for it. This rule is off "
        "unless it is named: `--select ORC905`, or `extend-select` in the configuration.",
        'orch 1\nparam region:string = "eu"',
        'orch 1\n\nparam region: string = "eu"\n',
    ),
    "ORC906": Example(
        "A reader tells by the form of a name what it is.",
        "schema finding_of_fact { claim: string }",
        "schema FindingOfFact { claim: string }",
    ),
    "ORC907": Example(
        "Comments begin with `//`, doc comments with `///`.",
        "# a comment",
        "// a comment",
    ),
    "ORC908": Example(
        "A doc comment reaches the models. One that stands before nothing reaches nobody.",
        'model m {\n  id = "openai/gpt-5-mini"\n  /// Cheap and quick.\n}',
        '/// Cheap and quick.\nmodel m { id = "openai/gpt-5-mini" }',
    ),
    "ORC909": Example(
        "`7 // 2` is 7.",
        "verifier many(n: int) via rules { assert n > 7 // 2\n}",
        "verifier many(n: int) via rules { assert n > (7 / 2) | int\n}",
    ),
    "ORC910": Example(
        "Who comes next cannot tell whether the reason still holds.",
        "// orch: allow[ORC504]\n" + _HTTP.format("").replace("timeout = 5s", ""),
        "// orch: allow[ORC504] it answers at once\n"
        + _HTTP.format("").replace("timeout = 5s", ""),
    ),
    "ORC911": Example(
        "Workers are renamed and tests are forgotten. A decision that is not accepted is asked for "
        "again, and the test fails for a reason that is hard to see.",
        _orchestrator("")
        + "\n"
        + (_LIVE % 'mock search { returns = "a drink" }').replace("query:", "q:"),
        _orchestrator("") + "\n" + _LIVE % 'mock search { returns = "a drink" }',
    ),
}
