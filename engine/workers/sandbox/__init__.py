"""Sandboxes: processes and threads that reach only the hosts and files that their file allows.

`policy` says what one may reach, `links` which links lead there. `making` chooses what enforces it
on this machine and starts programs with it: `bubblewrap`, `landlock` or `macos`. `inside` is what
runs first in the sandbox. `network_filter` closes every socket but those that are allowed, `proxy`
lets connections through to listed hosts. `threads` are those of the engine's own process that have
no network.

Invariant: what was demanded is enforced, or the program does not start. What runs inside cannot
widen its sandbox, nor can its children, and none of them outlives the call.
"""

from __future__ import annotations
