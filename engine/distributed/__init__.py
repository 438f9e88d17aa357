"""The same machine as a workflow on a Temporal cluster, for runs that outgrow one machine.

A run is one workflow: it folds events with the machine that the local driver uses, and its list
of events is the run's journal. Calls are activities, served by hosts (`orch worker`); gates and
cancellation are updates; timers are durable. This room is the only one that imports temporalio.

What is where: `address` (URLs and connections), `queues` (who serves what), `messages` and
`payloads` (what travels, and as what), `programs` (compiled programs and digests of what they
declare), `workflow`, `activities` with `receipts`, `host` (a process that serves), `remote` (a
journal to read, and runs to start, follow and answer from afar).
"""
