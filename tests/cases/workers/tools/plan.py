"""A policy for the cases of `python` models."""


def decide(state):
    return {"assessment": "", "finish": state.goal}
