"""What `message_summary_info` says of an edited or unsent message, whose text columns are empty."""

from __future__ import annotations

import plistlib
from dataclasses import dataclass

from imsgd.typedstream import read_text

_MAX_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Summary:
    """`text`: the newest wording of an edited message; `unsent`: a part was taken back."""

    text: str | None = None
    unsent: bool = False


def read_summary(blob: object) -> Summary:
    """Read the binary property list; anything unexpected is taken for "nothing said"."""
    if not isinstance(blob, bytes) or not 0 < len(blob) <= _MAX_BYTES:
        return Summary()
    try:
        info = plistlib.loads(blob)
    # Crafted lists raise whatever they like (IndexError, RecursionError, struct.error …).
    except Exception:
        return Summary()
    if not isinstance(info, dict):
        return Summary()
    return Summary(text=_newest_edit(info.get("ec")), unsent=bool(info.get("rp")))


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
