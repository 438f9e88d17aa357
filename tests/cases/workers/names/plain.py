"""Uses orch alone."""

from orch import Failure


def double(n):
    if n < 0:
        raise Failure("crashed", "below zero")
    return 2 * n
