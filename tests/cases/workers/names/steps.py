"""Gets to such a module through another one."""


def double(n):
    from tools import double

    return double(n)
