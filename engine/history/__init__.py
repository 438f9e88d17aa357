"""What a journal is good for besides resuming: replay, forks, retries, comparisons, removal.

Everything here starts from a journal and the program in it. Nothing calls a model or a worker,
but for the functions of `again`, which set a run going once more.
"""
