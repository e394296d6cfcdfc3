"""What an attempt had to do without although it ended: what makes its answer less than a whole
one."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

TEXT_CHARS = 300


class NoticeKind(StrEnum):
    MCP_MISSING = "mcp_missing"
    """A tool server was not there."""
    TOOLS_DENIED = "tools_denied"
    LIMIT = "limit"
    """A usage limit, told in words or met on the way."""
    MODEL_FALLBACK = "model_fallback"
    TRUNCATED = "truncated"


class Notice(Struct, frozen=True, kw_only=True):
    """`kind` is one of `NoticeKind`, or a word that a newer agent has for it. `text` completes the
    sentence "done, but …"."""

    kind: Annotated[str, Meta(min_length=1, max_length=64)]
    text: Annotated[str, Meta(min_length=1, max_length=TEXT_CHARS)]


def notice(kind: NoticeKind, text: str) -> Notice:
    """A notice whose text is cut to what the wire takes."""
    short = text if len(text) <= TEXT_CHARS else f"{text[: TEXT_CHARS - 1]}…"
    return Notice(kind=kind.value, text=short)
