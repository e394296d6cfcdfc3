"""Writing an `attributedBody`: the archive Messages keeps a text in, byte for byte in its shape."""

from __future__ import annotations

_HEADER = b"\x04\x0bstreamtyped\x81\xe8\x03"
_ROOT = b"\x84\x01@\x84\x84\x84\x12NSAttributedString\x00\x84\x84\x08NSObject\x00\x85"
_MUTABLE_ROOT = (
    b"\x84\x01@\x84\x84\x84\x19NSMutableAttributedString\x00"
    b"\x84\x84\x12NSAttributedString\x00\x84\x84\x08NSObject\x00\x85"
)
_STRING = b"\x92\x84\x84\x84\x08NSString\x01\x94\x84\x01+"
_MUTABLE_STRING = b"\x92\x84\x84\x84\x0fNSMutableString\x01\x84\x84\x08NSString\x01\x95\x84\x01+"
_RUN = b"\x84\x02iI\x01"
_NO_ATTRIBUTES = b"\x92\x84\x84\x84\x0cNSDictionary\x00\x94\x84\x01i\x00\x86\x86"

_LITERAL_LIMIT = 0x80
_TWO_BYTES_LIMIT = 0x1_0000


def write_body(text: str, *, mutable: bool = False) -> bytes:
    """Archive `text` as an attributed string with one run and no attributes."""
    raw = text.encode("utf-8")
    head = _MUTABLE_ROOT + _MUTABLE_STRING if mutable else _ROOT + _STRING
    run_length = _number(len(text.encode("utf-16-le")) // 2)
    return _HEADER + head + _number(len(raw)) + raw + b"\x86" + _RUN + run_length + _NO_ATTRIBUTES


def with_attribute(text: str, name: str, value: str) -> bytes:
    """The same with one string attribute over the whole text, as Messages names a file or the
    words of a voice memo."""
    key, said = name.encode(), value.encode()
    string = b"\x92\x84\x96\x96"
    attributes = (
        b"\x92\x84\x84\x84\x0cNSDictionary\x00\x94\x84\x01i\x01"
        + string + _number(len(key)) + key + b"\x86"
        + string + _number(len(said)) + said + b"\x86\x86\x86"
    )  # fmt: skip
    return write_body(text).removesuffix(_NO_ATTRIBUTES) + attributes


def _number(value: int) -> bytes:
    if value < _LITERAL_LIMIT:
        return bytes([value])
    if value < _TWO_BYTES_LIMIT:
        return b"\x81" + value.to_bytes(2, "little")
    return b"\x82" + value.to_bytes(4, "little")
