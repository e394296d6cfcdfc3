"""Names of files that came from elsewhere, as names that are safe in a folder of ours."""

from __future__ import annotations

import mimetypes
import re
import unicodedata
from urllib.parse import quote, unquote_to_bytes

MAX_BYTES = 200
"""A name may have 255 bytes on Linux; this leaves room for a number."""

ENDING = re.compile(r"\.(?![0-9]+$)[A-Za-z0-9]{1,12}$")
"""`.5` is the end of a version, `.7z` an ending."""

_JOINERS = "\u200c\u200d"
_INSTRUCTIONS = frozenset({"claude.md", "claude.local.md", "agents.md", "agents.override.md"})
"""Names under which a model's program takes a file for its owner's orders."""

_ENDINGS = {
    "application/json": ".json",
    "application/octet-stream": "",
    "application/vnd.apple.keynote": ".key",
    "application/vnd.apple.numbers": ".numbers",
    "application/vnd.apple.pages": ".pages",
    "application/x-yaml": ".yaml",
    "audio/amr": ".amr",
    "audio/mp4": ".m4a",
    "audio/mpeg": ".mp3",
    "audio/x-caf": ".caf",
    "audio/x-m4a": ".m4a",
    "audio/x-wav": ".wav",
    "image/heic": ".heic",
    "image/heif": ".heif",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "text/calendar": ".ics",
    "text/csv": ".csv",
    "text/markdown": ".md",
    "text/plain": ".txt",
    "text/vcard": ".vcf",
    "text/x-vcard": ".vcf",
    "text/x-vlocation": ".vcf",
    "video/quicktime": ".mov",
}
"""Where the standard library knows none, or one that nobody expects."""

_TYPES = mimetypes.MimeTypes()


def safe_name(name: str, *, instead: str = "file") -> str:
    """The last part of `name`, whole but for what a folder or a terminal could take amiss:
    control and direction marks, and dots and dashes at its beginning."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name).rstrip("/\\"))[-1]
    spaced = "".join(" " if char.isspace() else char for char in last)
    plain = "".join(char for char in spaced if char in _JOINERS or not _is_unprinted(char))
    plain = plain.lstrip(".-~ ").rstrip(". ")
    if plain.lower() in _INSTRUCTIONS:
        plain = f"{instead}-{plain}"
    return shortened(plain) or instead


def _is_unprinted(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs")


def shortened(name: str, max_bytes: int = MAX_BYTES) -> str:
    """As much of a long name as fits, with its ending."""
    if len(name.encode(errors="replace")) <= max_bytes:
        return name
    match = ENDING.search(name)
    ending = match[0] if match else ""
    stem = name.removesuffix(ending).encode(errors="replace")[: max_bytes - len(ending)]
    return stem.decode(errors="ignore").rstrip(f". {_JOINERS}") + ending


def with_ending(name: str, media_type: str | None) -> str:
    """The name, with the usual ending of its media type where it has none."""
    if ENDING.search(name) or not media_type:
        return name
    bare = media_type.partition(";")[0].strip().lower()
    known = _ENDINGS.get(bare)
    return name + (known if known is not None else _TYPES.guess_extension(bare) or "")


def numbered(name: str, number: int) -> str:
    """`photo.jpg` as `photo-2.jpg`."""
    match = ENDING.search(name)
    ending = match[0] if match else ""
    return f"{name.removesuffix(ending)}-{number}{ending}"


def disposition(name: str) -> str:
    """A Content-Disposition that carries any name (RFC 6266), and an ASCII one for old readers."""
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, '', errors='replace')}"


def disposed_name(header: str) -> str | None:
    """The name in a Content-Disposition; the extended form wins, it holds every name."""
    match = re.search(r"filename\*\s*=\s*\"?([\w.-]+)'[^']*'([^;\s\"]+)", header, re.IGNORECASE)
    if match:
        try:
            return unquote_to_bytes(match[2]).decode(match[1], errors="replace")
        except LookupError:
            pass
    match = re.search(r'filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))', header, re.IGNORECASE)
    return re.sub(r"\\(.)", r"\1", match[1] or match[2] or "") or None if match else None
