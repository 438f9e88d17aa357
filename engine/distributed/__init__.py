"""The same machine as a workflow on a Temporal cluster, for runs that outgrow one machine.

A run is one workflow: it folds events with the machine that the local driver uses, and its list
of events is the run's journal. Calls are activities, served by hosts (`orch worker`); gates and
cancellation are updates; timers are durable. This room is the only one that imports temporalio.

`address` has URLs and connections, and `queues` who serves what. `messages` and `payloads` define
what travels, and how. `programs` has compiled programs and digests of their declarations.
`workflow` and `activities` run it, with `receipts`. `host` is a process that serves. `remote` reads
a journal, and starts, follows and answers runs from afar.
"""
