"""Operations on recorded runs: replay, fork, retry, comparison, distillation, removal.

Everything here starts from a journal and the program in it. Nothing calls a model or a worker,
except for the functions of `again`, which start driving a run again.
"""
