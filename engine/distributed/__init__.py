"""Runs workflows on a Temporal cluster with the same machine, for runs that outgrow one machine.

A run is one Temporal workflow. It folds events with the machine that the local driver uses, and its
list of events is the journal of the run. Calls are activities, served by hosts (`orch worker`);
gates and cancellation are updates; timers are durable. This is the only package that imports
temporalio.

`address` handles URLs and connections, and `queues` decides which host serves a call. `messages`
and `payloads` define the messages and their encoding. `programs` keeps compiled programs and
digests of their declarations. `workflow` and `activities` execute runs, with `receipts`. `host` is
a process that serves. `remote` reads a journal, and starts, follows and answers runs remotely.
"""
