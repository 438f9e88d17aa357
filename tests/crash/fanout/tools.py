"""What the workers of the fan-out do; each call leaves a line in the log (`desk.done`)."""

from desk import done


def numbers():
    done("numbers")
    return [1, 2, 3]


def look(n):
    done(f"look {n}")
    return n


def weigh(n):
    done(f"weigh {n}")
    return n * 10


def add(parts):
    done(f"add {parts}")
    return sum(parts)


def pay(n):
    done(f"pay {n}")
    return n
