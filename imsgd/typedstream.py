"""The text inside an `attributedBody`: a NeXT typedstream, version 4.

Only as much of the format as finding the first string of an attributed string needs, and the two
attributes that stand nowhere else: a voice memo's words and a file's guid. It reads
bytes exactly, is bounded by the blob it is given and answers None for anything it does not
understand; it never raises.
"""

from __future__ import annotations

import re

MAX_BLOB_BYTES = 8 * 1024 * 1024

# Version 4, signature of 11 bytes, then the system version as a two-byte number, then a new
# object of a new class whose name follows with a length in one byte.
_ROOT = re.compile(
    rb"\x04\x0bstreamtyped\x81..\x84\x01@\x84\x84\x84"
    rb"(?:\x12NSAttributedString|\x19NSMutableAttributedString)",
    re.DOTALL,
)
# The string's class (its superclasses may be new or back references), then type "+" and bytes.
_STRING = re.compile(
    rb"\x84\x84\x84(?:\x08NSString|\x0fNSMutableString)\x01.{0,24}?\x84\x01\+", re.DOTALL
)
_CLASS_CHAIN_BYTES = 96
"""How far after the root class the string's class may begin."""

_TRANSCRIPTION = b"IMAudioTranscription"
_FILE_GUID = b"__kIMFileTransferGUIDAttributeName"
_GUID = re.compile(rb"(?:at_\d{1,3}_)?[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
# A string after its key: the key ends, then an object whose class and type are new or known.
_VALUE = re.compile(
    rb"\x86\x92?\x84(?:[\x92-\xff]{2}|\x84\x84(?:\x08NSString|\x0fNSMutableString)\x01"
    rb".{0,24}?\x84\x01\+|[\x92-\xff]\x84\x01\+)",
    re.DOTALL,
)

_LITERAL_LIMIT = 0x80
_WIDTHS = {0x81: 2, 0x82: 4, 0x87: 8}


def read_text(blob: bytes | None) -> str | None:
    """Return the text of an archived NS(Mutable)AttributedString, or None.

    The text is returned as stored: U+FFFC stands for an attachment, U+FFFD for an app balloon.
    """
    if not blob or len(blob) > MAX_BLOB_BYTES:
        return None
    root = _ROOT.match(blob)
    if root is None:
        return None
    string = _STRING.search(blob, root.end(), root.end() + _CLASS_CHAIN_BYTES)
    if string is None:
        return None
    span = _length(blob, string.end())
    if span is None:
        return None
    start, length = span
    if start + length > len(blob):
        return None
    return _decode(blob[start : start + length])


def transcription(blob: bytes | None) -> str | None:
    """The words of a voice memo, as macOS or the phone wrote them down."""
    at = _attributes(blob).find(_TRANSCRIPTION)
    if blob is None or at < 0:
        return None
    value = _VALUE.match(blob, len(blob) - len(_attributes(blob)) + at + len(_TRANSCRIPTION))
    span = None if value is None else _length(blob, value.end())
    if span is None or sum(span) > len(blob):
        return None
    return _decode(blob[span[0] : sum(span)])


def file_guids(blob: bytes | None) -> list[str]:
    """The guids of the files a body shows, in order; the only trace where no join was written."""
    attributes = _attributes(blob)
    if _FILE_GUID not in attributes:
        return []
    return list(dict.fromkeys(found[0].decode() for found in _GUID.finditer(attributes)))


def _attributes(blob: bytes | None) -> bytes:
    """What follows the text: a person cannot write anything that stands there."""
    if not blob or len(blob) > MAX_BLOB_BYTES or (root := _ROOT.match(blob)) is None:
        return b""
    string = _STRING.search(blob, root.end(), root.end() + _CLASS_CHAIN_BYTES)
    span = None if string is None else _length(blob, string.end())
    return b"" if span is None else blob[sum(span) :]


def _length(blob: bytes, at: int) -> tuple[int, int] | None:
    """Where the string's bytes begin and how many there are (they count UTF-8, not characters)."""
    if at >= len(blob):
        return None
    head = blob[at]
    if head < _LITERAL_LIMIT:
        return at + 1, head
    width = _WIDTHS.get(head)
    if width is None or at + 1 + width > len(blob):
        return None
    return at + 1 + width, int.from_bytes(blob[at + 1 : at + 1 + width], "little")


def _decode(raw: bytes) -> str | None:
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return None
