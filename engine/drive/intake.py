"""What an attempt may take in and return: the bounds on sizes, where values cross the border.

A prompt, an answer and the inputs of all that runs at once are bounded here, before anything is
journaled. What is refused here is data like any other failure, so a journal tells it, and the
machine need not measure it again. Nothing here knows a run; see `engine.runtime.sizes` for what
the machine adds up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from typing import overload

from engine.errors import Failure
from engine.events import Usage
from engine.runtime.ports import Message, ModelRequest
from engine.sizes import size_words

__all__ = [
    "COUNTED_BYTES",
    "KEPT_OF_DECISION",
    "LONGEST_WHERE",
    "UNBOUNDED",
    "BoundedPrompt",
    "InFlight",
    "cut_message",
    "too_large",
]

#: How large the inputs may be of all calls together that run at once in one run, in bytes.
IN_FLIGHT_BYTES = 32 * 1024 * 1024
#: An input that is smaller is not counted, in bytes.
COUNTED_BYTES = 64 * 1024
#: How much of a decision is kept that is too large, in characters: what is shown to the model.
KEPT_OF_DECISION = 8_000
#: The longest message of a failure, in characters.
MAX_MESSAGE = 2_000
#: The longest name of a setting that a failure is about, in characters.
LONGEST_WHERE = 100

#: The default maximum size of an answer.
UNBOUNDED = 1 << 62


def too_large(most: int, usage: Usage | None) -> Failure:
    """The failure of a call whose answer is too large.

    Args:
        usage: What it has cost.
    """
    said = f"the output takes more than {size_words(most)}, as JSON or in memory (`max_bytes`)"
    return Failure("invalid_output", said, usage=usage, where="max_bytes")


def cut_message(text: str) -> str:
    """The message of a failure, cut where it is too long to be kept and shown again."""
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 3] + "..."


class BoundedPrompt(Sequence[Message]):
    """A prompt that fails at the first look if it is too large; who takes no prompt never looks.

    Raises:
        Failure: `context_overflow`, from any look at a prompt that takes more than its model may
            be sent.
    """

    def __init__(self, request: ModelRequest) -> None:
        self._messages = request.messages
        self._most = request.model.max_prompt_bytes
        self._checked = False

    def _all(self) -> Sequence[Message]:
        if not self._checked:
            size = 0
            for message in self._messages:
                size += len(message.content)
                if size <= self._most:
                    size += len(message.content.encode()) - len(message.content)
                if size > self._most:
                    raise Failure(
                        "context_overflow",
                        f"the prompt takes more than {size_words(self._most)} "
                        "(`max_prompt_bytes` of the model)",
                    )
            self._checked = True
        return self._messages

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Message]: ...
    def __getitem__(self, index: int | slice) -> Message | Sequence[Message]:
        return self._all()[index]

    def __len__(self) -> int:
        return len(self._all())

    def __iter__(self) -> Iterator[Message]:
        return iter(self._all())


class InFlight:
    """Room for the inputs of the calls that run at once: a call waits until there is some.

    To carry a call out its input is copied, as JSON or for user code. Calls get room in the order
    they came; one that is larger than the room has it alone.

    Args:
        most: How large the inputs may be together, in bytes.
    """

    def __init__(self, most: int = IN_FLIGHT_BYTES) -> None:
        self._most = most
        self._left = most
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size: int) -> None:
        """Wait until there is room for an input of this size, in bytes."""
        size = min(size, self._most)
        if not self._waiting and size <= self._left:
            self._left -= size
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting.remove((size, turn))
                self.give_back(0)
            else:
                self.give_back(size)
            raise

    def give_back(self, size: int) -> None:
        """The call with an input of this size is over."""
        self._left += min(size, self._most)
        while self._waiting and self._waiting[0][0] <= self._left:
            taken, turn = self._waiting.popleft()
            self._left -= taken
            turn.set_result(None)
