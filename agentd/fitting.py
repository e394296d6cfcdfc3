"""Cutting text to what a request may hold. The hub counts a body's bytes, a model writes text."""

from __future__ import annotations

import msgspec

CUT = "… (cut)"


def encodable(text: str) -> str:
    """Pairs of UTF-16 halves joined and lone ones replaced; any other text as it is."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def fit(text: str, limit_bytes: int, note: str = CUT) -> str:
    """As much of the beginning as fits into `limit_bytes` of JSON; `note` ends what was cut."""
    text = encodable(text)
    if _size(text) <= limit_bytes:
        return text
    low, high = 0, min(len(text), limit_bytes)
    while low < high:
        middle = (low + high + 1) // 2
        if _size(text[:middle] + note) <= limit_bytes:
            low = middle
        else:
            high = middle - 1
    return text[:low] + note


def _size(text: str) -> int:
    return len(msgspec.json.encode(text))
