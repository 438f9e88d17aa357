"""The tools of the repository review: narrow, deterministic readers of one git repository.

Each module is one worker of `repo_review.orch` (a plain function with the worker's inputs as its
parameters); `git` and `pysource` are what they share. The tools only read, never run code or
configured programs of the repository they look at, and give bounded outputs, most telling
entries first. They need git and the standard library; how they fail is a `Failure` whose mode
the worker declares.
"""
