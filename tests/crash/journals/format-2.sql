PRAGMA page_size = 8192;
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE runs (
    number INTEGER PRIMARY KEY,
    run TEXT NOT NULL UNIQUE,
    workflow TEXT NOT NULL,
    orchestrator TEXT NOT NULL,
    started_ms INTEGER NOT NULL,
    status TEXT NOT NULL,
    ended_ms INTEGER,
    reason TEXT NOT NULL DEFAULT '',
    bound TEXT,
    epoch INTEGER NOT NULL,
    pid INTEGER NOT NULL,
    record BLOB NOT NULL
);
CREATE TABLE events (
    run INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    type INTEGER NOT NULL,
    end INTEGER,
    blob BLOB,
    body BLOB NOT NULL
);
CREATE UNIQUE INDEX events_in_order ON events (run, seq);
CREATE UNIQUE INDEX events_end_once ON events (run, end) WHERE end IS NOT NULL;
CREATE TABLE blobs (hash BLOB PRIMARY KEY, data BLOB NOT NULL);
INSERT INTO meta VALUES ('format', 2);
INSERT INTO meta VALUES ('layout', 1);
INSERT INTO meta VALUES ('token', '7bbb7fb44e19414c6340993ac72eef6e');
INSERT INTO runs VALUES (1, '20261130-165333-56f142ca6c', 'parcels.orch', 'ship', 1796057613630, 'waiting', 1796057613723, 'Send a lamp and a vase?', NULL, 2, 28150, CAST('{"files":{"parcels.orch":"5091a55c1970b2141c16dcb61003eb316a589c2e"},"params":{"shop":"http://127.0.0.1:1"},"models":{},"cwd":"@FOLDER@","engine":"0.1.0","entered":2209}' AS BLOB));
INSERT INTO events VALUES (1, 1, 0, NULL, NULL, CAST('{"type":"run_started","run":"20261130-165333-56f142ca6c","orchestrator":"ship","input":{},"models":{"packer":{"id":"python/tools:pack","metered":false},"planner":{"id":"scripted/planner.json","metered":false,"input_usd":0,"output_usd":0}},"program":"ed4ec023cc9c61c13d8b58a6235d46fc52a068c9fca49b1193ef97abddfacb22","params":{"shop":"http://127.0.0.1:1"},"wall_ms":1796057613630,"bounds":1}' AS BLOB));
INSERT INTO events VALUES (1, 2, 1, NULL, NULL, CAST('{"type":"call_started","key":"round 1 / decision 1","model":"planner"}' AS BLOB));
INSERT INTO events VALUES (1, 3, 2, 3134228652267561947, NULL, CAST('{"type":"call_finished","at":13,"key":"round 1 / decision 1","value":"not a decision","usage":{},"bytes":20}' AS BLOB));
INSERT INTO events VALUES (1, 4, 1, NULL, NULL, CAST('{"type":"call_started","at":13,"key":"round 1 / decision 2","model":"planner"}' AS BLOB));
INSERT INTO events VALUES (1, 5, 2, 1815196257084284899, NULL, CAST('{"type":"call_finished","at":14,"key":"round 1 / decision 2","value":{"tasks":[{"id":"s1","worker":"stock","input":{"item":"lamp"}},{"id":"s2","worker":"stock","input":{"item":"vase"}},{"id":"p1","worker":"price","input":{"item":"lamp"}},{"id":"p2","worker":"price","input":{"item":"vase"}},{"id":"k","worker":"pack","input":{"items":["lamp","vase"]}}]},"usage":{},"bytes":322}' AS BLOB));
INSERT INTO events VALUES (1, 6, 1, NULL, NULL, CAST('{"type":"call_started","at":18,"key":"round 1 / decision 2 / task s1"}' AS BLOB));
INSERT INTO events VALUES (1, 7, 1, NULL, NULL, CAST('{"type":"call_started","at":18,"key":"round 1 / decision 2 / task s2"}' AS BLOB));
INSERT INTO events VALUES (1, 8, 1, NULL, NULL, CAST('{"type":"call_started","at":18,"key":"round 1 / decision 2 / task p1"}' AS BLOB));
INSERT INTO events VALUES (1, 9, 1, NULL, NULL, CAST('{"type":"call_started","at":18,"key":"round 1 / decision 2 / task p2"}' AS BLOB));
INSERT INTO events VALUES (1, 10, 1, NULL, NULL, CAST('{"type":"call_started","at":18,"key":"round 1 / decision 2 / task k / round 1 / decision 1","model":"packer"}' AS BLOB));
INSERT INTO events VALUES (1, 11, 3, 873161276292471938, NULL, CAST('{"type":"call_failed","at":55,"key":"round 1 / decision 2 / task s1","mode":"busy","message":"exit code 75","ms":36,"where":"run"}' AS BLOB));
INSERT INTO events VALUES (1, 12, 3, 993343819982896043, NULL, CAST('{"type":"call_failed","at":55,"key":"round 1 / decision 2 / task s2","mode":"busy","message":"exit code 75","ms":34,"where":"run"}' AS BLOB));
INSERT INTO events VALUES (1, 13, 2, -6169864533669281684, NULL, CAST('{"type":"call_finished","at":55,"key":"round 1 / decision 2 / task k / round 1 / decision 1","value":{"tasks":[{"id":"w1","worker":"weigh","input":{"item":"lamp"}},{"id":"w2","worker":"weigh","input":{"item":"vase"}}]},"usage":{},"ms":2,"bytes":133}' AS BLOB));
INSERT INTO events VALUES (1, 14, 1, NULL, NULL, CAST('{"type":"call_started","at":56,"key":"round 1 / decision 2 / task k / round 1 / decision 1 / task w1"}' AS BLOB));
INSERT INTO events VALUES (1, 15, 1, NULL, NULL, CAST('{"type":"call_started","at":56,"key":"round 1 / decision 2 / task k / round 1 / decision 1 / task w2"}' AS BLOB));
INSERT INTO events VALUES (1, 16, 3, -9188374122465040797, NULL, CAST('{"type":"call_failed","at":61,"key":"round 1 / decision 2 / task p1","mode":"crashed","message":"GET 127.0.0.1:36969: HTTP 503: {}","retryable":true,"ms":38}' AS BLOB));
INSERT INTO events VALUES (1, 17, 1, NULL, NULL, CAST('{"type":"call_started","at":61,"key":"round 1 / decision 2 / task s1","attempt":2}' AS BLOB));
INSERT INTO events VALUES (1, 18, 1, NULL, NULL, CAST('{"type":"call_started","at":61,"key":"round 1 / decision 2 / task s2","attempt":2}' AS BLOB));
INSERT INTO events VALUES (1, 19, 3, -158009971768862636, NULL, CAST('{"type":"call_failed","at":62,"key":"round 1 / decision 2 / task p2","mode":"crashed","message":"GET 127.0.0.1:36969: HTTP 503: {}","retryable":true,"ms":10}' AS BLOB));
INSERT INTO events VALUES (1, 20, 2, 8850135417525674028, NULL, CAST('{"type":"call_finished","at":66,"key":"round 1 / decision 2 / task k / round 1 / decision 1 / task w1","value":1200,"ms":6,"bytes":6}' AS BLOB));
INSERT INTO events VALUES (1, 21, 2, 473190782823414260, NULL, CAST('{"type":"call_finished","at":66,"key":"round 1 / decision 2 / task k / round 1 / decision 1 / task w2","value":800,"ms":6,"bytes":6}' AS BLOB));
INSERT INTO events VALUES (1, 22, 1, NULL, NULL, CAST('{"type":"call_started","at":68,"key":"round 1 / decision 2 / task p1","attempt":2}' AS BLOB));
INSERT INTO events VALUES (1, 23, 1, NULL, NULL, CAST('{"type":"call_started","at":68,"key":"round 1 / decision 2 / task k / round 2 / decision 1","model":"packer"}' AS BLOB));
INSERT INTO events VALUES (1, 24, 2, 8915003087143832689, NULL, CAST('{"type":"call_finished","at":70,"key":"round 1 / decision 2 / task s1","attempt":2,"value":3,"ms":7,"bytes":6}' AS BLOB));
INSERT INTO events VALUES (1, 25, 1, NULL, NULL, CAST('{"type":"call_started","at":71,"key":"round 1 / decision 2 / task p2","attempt":2}' AS BLOB));
INSERT INTO events VALUES (1, 26, 1, NULL, NULL, CAST('{"type":"call_started","at":71,"key":"round 1 / decision 2 / task s1 / attempt 2 / after / verify counted"}' AS BLOB));
INSERT INTO events VALUES (1, 27, 2, -671672290226098863, NULL, CAST('{"type":"call_finished","at":73,"key":"round 1 / decision 2 / task k / round 2 / decision 1","value":{"finish":{"grams":2000}},"usage":{},"bytes":29}' AS BLOB));
INSERT INTO events VALUES (1, 28, 2, -2386095753782954945, NULL, CAST('{"type":"call_finished","at":74,"key":"round 1 / decision 2 / task p1","attempt":2,"value":1990,"ms":3,"bytes":6}' AS BLOB));
INSERT INTO events VALUES (1, 29, 2, 7628860735120190065, NULL, CAST('{"type":"call_finished","at":77,"key":"round 1 / decision 2 / task s2","attempt":2,"value":3,"ms":12,"bytes":6}' AS BLOB));
INSERT INTO events VALUES (1, 30, 2, -5986859880965089530, NULL, CAST('{"type":"call_finished","at":78,"key":"round 1 / decision 2 / task p2","attempt":2,"value":1990,"ms":2,"bytes":6}' AS BLOB));
INSERT INTO events VALUES (1, 31, 2, -2938603299916681643, NULL, CAST('{"type":"call_finished","at":79,"key":"round 1 / decision 2 / task s1 / attempt 2 / after / verify counted","value":{"ok":true,"feedback":""},"ms":2,"bytes":48}' AS BLOB));
INSERT INTO events VALUES (1, 32, 1, NULL, NULL, CAST('{"type":"call_started","at":79,"key":"round 1 / decision 2 / task s2 / attempt 2 / after / verify counted"}' AS BLOB));
INSERT INTO events VALUES (1, 33, 2, 4050503526979136752, NULL, CAST('{"type":"call_finished","at":80,"key":"round 1 / decision 2 / task s2 / attempt 2 / after / verify counted","value":{"ok":true,"feedback":""},"bytes":48}' AS BLOB));
INSERT INTO events VALUES (1, 34, 1, NULL, NULL, CAST('{"type":"call_started","at":80,"key":"round 2 / decision 1","model":"planner"}' AS BLOB));
INSERT INTO events VALUES (1, 35, 2, 2925716366390287637, NULL, CAST('{"type":"call_finished","at":81,"key":"round 2 / decision 1","value":{"tasks":[{"id":"r1","worker":"reserve","input":{"item":"lamp","count":{"$from":"s1"}}},{"id":"r2","worker":"reserve","input":{"item":"vase","count":{"$from":"s2"}}},{"id":"c","worker":"charge","input":{"cents":{"$from":"p1"}}}]},"usage":{},"bytes":253}' AS BLOB));
INSERT INTO events VALUES (1, 36, 1, NULL, NULL, CAST('{"type":"call_started","at":81,"key":"round 2 / decision 1 / task r1"}' AS BLOB));
INSERT INTO events VALUES (1, 37, 1, NULL, NULL, CAST('{"type":"call_started","at":81,"key":"round 2 / decision 1 / task r2"}' AS BLOB));
INSERT INTO events VALUES (1, 38, 1, NULL, NULL, CAST('{"type":"call_started","at":81,"key":"round 2 / decision 1 / task c"}' AS BLOB));
INSERT INTO events VALUES (1, 39, 2, -3474136646117217625, NULL, CAST('{"type":"call_finished","at":87,"key":"round 2 / decision 1 / task r2","value":{"id":"R-0"},"ms":3,"bytes":27}' AS BLOB));
INSERT INTO events VALUES (1, 40, 2, -2672833880173584094, NULL, CAST('{"type":"call_finished","at":88,"key":"round 2 / decision 1 / task c","value":{"receipt":"C-1"},"ms":3,"bytes":27}' AS BLOB));
INSERT INTO events VALUES (1, 41, 2, 6099389221051402799, NULL, CAST('{"type":"call_finished","at":88,"key":"round 2 / decision 1 / task r1","value":{"id":"R-1"},"ms":6,"bytes":27}' AS BLOB));
INSERT INTO events VALUES (1, 42, 1, NULL, NULL, CAST('{"type":"call_started","at":89,"key":"round 3 / decision 1","model":"planner"}' AS BLOB));
INSERT INTO events VALUES (1, 43, 2, -2403324828700961836, NULL, CAST('{"type":"call_finished","at":90,"key":"round 3 / decision 1","value":{"tasks":[{"id":"o","worker":"send","input":{"parcel":"a lamp and a vase"}}]},"usage":{},"bytes":88}' AS BLOB));
INSERT INTO events VALUES (1, 44, 8, NULL, NULL, CAST('{"type":"gate_opened","at":90,"key":"round 3 / decision 1 / task o / before / verify boss","wall_ms":1796057613723,"shown":{"key":"round 3 / decision 1 / task o / before / verify boss","kind":"approval","orchestrator":"ship","message":"Send a lamp and a vase?","options":[],"task":"o","worker":"send","input":{"parcel":"a lamp and a vase"},"opened_ms":null,"timeout_ms":7200000,"offers":false}}' AS BLOB));
INSERT INTO events VALUES (1, 45, 7, NULL, NULL, CAST('{"type":"run_ended","at":90,"status":"waiting","reason":"Send a lamp and a vase?","gates":1}' AS BLOB));
INSERT INTO events VALUES (1, 46, 15, NULL, NULL, CAST('{"type":"note_given","at":90,"note":"Handle with care.","by":"ann","wall_ms":1796057613776,"letter":"20261130-165333-56f142ca6c.01796057613776039936-7a55d872"}' AS BLOB));
INSERT INTO blobs VALUES (X'5091a55c1970b2141c16dcb61003eb316a589c2e', CAST('orch 1
// A small shipping desk: every effect class, every local kind of worker, a gate, a
// sub-orchestrator and retries. What each call does to the world is written down outside.

/// Where the shop''s server is.
param shop: string = "http://127.0.0.1:1"

model planner { id = "scripted/planner.json" }
model packer  { id = "python/tools:pack" }

worker weigh(item: string) -> int via python { call = "tools:weigh"  effect = pure }

/// Busy the first time it is asked about an item.
worker stock(item: string) -> int fails busy via command {
  run     = ["sh", "stock.sh", item]
  on_exit { 75 = busy }
  effect  = read
  retry { max = 2  on = [busy]  backoff = 1ms }
}

/// Unavailable the first time it is asked about an item.
worker price(item: string) -> int via http {
  url    = param.shop ~ "/price"
  query  = { item: item }
  result = response.cents
  trust  = trusted
  retry { max = 3  on = [crashed]  backoff = 1ms }
}

/// The shop takes a repetition under one key for the same order.
worker reserve(item: string, count: int) -> { id: string } via http {
  method  = "POST"
  url     = param.shop ~ "/reserve"
  headers = { "Idempotency-Key": task.key }
  json    = { item: item, count: count }
  effect  = write
  trust   = trusted
}

worker charge(cents: int) -> { receipt: string } via http {
  method = "POST"
  url    = param.shop ~ "/charge"
  json   = { cents: cents }
  effect = once
  trust  = trusted
}

worker send(parcel: string) -> { number: string } via python { call = "tools:send"  effect = once }

verifier sane(output: int) via rules { assert output > 0 else "nothing weighs {{ output }}" }
verifier counted(input: { item: string }, output: int) via python { call = "tools:counted" }
verifier boss(parcel: string) via human { message = "Send {{ parcel }}?"  timeout = 2h }

orchestrator pack(items: string[]) -> { grams: int } {
  model   = packer
  goal    = "Pack {{ items | join('', '') }}."
  workers = [weigh]
  policy { max_rounds = 3 }
  verify { after_dispatch weigh { with = sane  on_fail = revise  max_revisions = 1 } }
}

orchestrator ship() -> { number: string, grams: int, receipt: string } {
  model   = planner
  goal    = "Ship a lamp and a vase."
  workers = [stock, price, reserve, pack, charge, send]
  policy { max_rounds = 5  max_parallel = 4 }
  verify {
    after_dispatch stock { with = counted  on_fail = abort }
    before_dispatch send { with = boss  on_fail = abort }
  }
}
' AS BLOB));
