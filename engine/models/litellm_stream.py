"""An answer that comes through LiteLLM in pieces, put together.

LiteLLM looks at each piece of a provider's stream and passes on what it knows: it drops the words
of a refusal, cannot read content that is a list of parts, and puts words of its own around an
error. So each piece is looked at before LiteLLM gets it. LiteLLM itself is not imported here.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from engine.errors import Failure
from engine.models.answers import Answer, text_of

__all__ = ["NoStreamError", "StreamedAnswer", "plain_usage"]


class NoStreamError(Exception):
    """The server answered a request for a stream with a whole answer."""


class StreamedAnswer:
    """Takes a stream in.

    Args:
        name: What to call the model in messages.
        on_text: Hears each piece of text.

    Attributes:
        error: What the provider reported in the middle of the stream, or None.
    """

    def __init__(self, name: str, on_text: Callable[[str], None] | None) -> None:
        self._name = name
        self._on_text = on_text
        self._refusal: list[str] = []
        self.error: Any = None

    async def take(self, stream: Any) -> Answer:
        """Put the answer together from LiteLLM's stream.

        Raises:
            Failure: The stream ended before the answer did.
            NoStreamError: What came was not a stream at all.
        """
        kind = _content_type(stream)
        if hasattr(getattr(stream, "completion_stream", None), "__aiter__"):
            stream.completion_stream = self._looked_at(stream.completion_stream)
        usage = None
        pieces: list[str] = []
        reasoning: list[str] = []
        tools = False
        try:
            async for chunk in stream:
                usage = getattr(chunk, "usage", None) or usage
                if not chunk.choices:
                    continue
                delta = chunk.choices[0].delta
                piece = text_of(delta.content)
                pieces.append(piece)
                if self._on_text is not None and piece:
                    self._on_text(piece)
                reasoning.append(getattr(delta, "reasoning_content", None) or "")
                tools = tools or bool(getattr(delta, "tool_calls", None))
        finally:
            await stream.aclose()
        # LiteLLM closes a stream that just stops with a finish reason, and usage, of its own
        # making. What the provider sent is in these: Gemini's in the second alone, as its last
        # word on the usage may come later.
        finish_reason = stream.received_finish_reason or stream.intermittent_finish_reason
        if finish_reason is None:
            raise self._broken(stream, kind)
        if not any(getattr(chunk, "usage", None) for chunk in stream.chunks):
            usage = None
        return Answer(
            text="".join(pieces),
            finish_reason=finish_reason,
            refusal="".join(self._refusal),
            reasoning="".join(reasoning),
            tools=tools,
            usage=plain_usage(usage),
        )

    def _broken(self, stream: Any, kind: str) -> Exception:
        """Why there is no finish reason."""
        if "html" in kind:
            said = f"{self._name}: the server answered with a web page, not JSON: "
            return Failure("unavailable", said + "is `api_base` right?", retryable=True)
        if not stream.chunks and "event-stream" not in kind:
            return NoStreamError()
        said = f"the answer of {self._name} broke off in the middle of the stream"
        return Failure("unavailable", said, retryable=True)

    async def _looked_at(self, pieces: Any) -> AsyncIterator[Any]:
        """The pieces of the provider's stream, as LiteLLM can read them."""
        try:
            async for piece in pieces:
                self._look(piece)
                yield piece
        except Exception as error:
            self.error = self.error or getattr(error, "body", None)
            raise
        finally:
            # It is closed in any case; a connection that has gone cannot be closed again.
            with contextlib.suppress(Exception):
                await (getattr(pieces, "aclose", None) or pieces.close)()

    def _look(self, piece: Any) -> None:
        choices = getattr(piece, "choices", None)
        if not choices:
            return
        reported = getattr(choices[0], "error", None)
        if reported:
            self.error = reported
            raise ValueError("the provider reports an error")
        delta: Any = getattr(choices[0], "delta", None)
        self._refusal.append(getattr(delta, "refusal", None) or "")
        if isinstance(getattr(delta, "content", None), list):
            delta.content = text_of(delta.content)


def plain_usage(usage: Any) -> dict[str, Any] | None:
    """LiteLLM's object for usage as the protocol has it; None where the provider did not say."""
    if usage is None:
        return None
    plain: dict[str, Any] = usage.model_dump() if hasattr(usage, "model_dump") else dict(usage)
    return plain


def _content_type(stream: Any) -> str:
    """What the server says that it sends; "" where LiteLLM does not let that be seen."""
    response = getattr(getattr(stream, "completion_stream", None), "response", None)
    headers = getattr(response, "headers", None)
    return "" if headers is None else str(headers.get("content-type", "")).lower()
