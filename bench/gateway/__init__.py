"""What a call of a model costs by itself: CPU, start, memory, next to other clients and engines.

A server on loopback answers at once, in a process of its own, so that nothing but the client is
measured. `make bench-gateway` runs it.
"""
