"""What Messages keeps in property lists: `message_summary_info` of an edited or unsent message,
whose text columns are empty, and the words of a voice memo in `attachment.user_info`."""

from __future__ import annotations

import plistlib
from dataclasses import dataclass
from typing import Any

from imsgd.typedstream import read_text

_MAX_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Summary:
    """`text`: the newest wording of an edited message; `unsent`: a part was taken back."""

    text: str | None = None
    unsent: bool = False


def read_summary(blob: object) -> Summary:
    """Read the binary property list; anything unexpected is taken for "nothing said"."""
    info = _properties(blob)
    return Summary(text=_newest_edit(info.get("ec")), unsent=bool(info.get("rp")))


def read_transcript(blob: object) -> str | None:
    """The words of a voice memo, from `attachment.user_info`."""
    said = _properties(blob).get("audio-transcription")
    return (said.strip() or None) if isinstance(said, str) else None


def _properties(blob: object) -> dict[Any, Any]:
    if not isinstance(blob, bytes) or not 0 < len(blob) <= _MAX_BYTES:
        return {}
    try:
        info = plistlib.loads(blob)
    # Crafted lists raise whatever they like (IndexError, RecursionError, struct.error …).
    except Exception:
        return {}
    return info if isinstance(info, dict) else {}


def _newest_edit(parts: object) -> str | None:
    if not isinstance(parts, dict):
        return None
    texts: list[str] = []
    for part in sorted(parts, key=str):
        edits = parts[part]
        newest = edits[-1] if isinstance(edits, list) and edits else None
        body = newest.get("t") if isinstance(newest, dict) else None
        text = read_text(body) if isinstance(body, bytes) else None
        if text is not None:
            texts.append(text)
    return "".join(texts) or None
