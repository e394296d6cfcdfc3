"""Text as it reaches a command: from its arguments and from stdin. What is no text is refused in a
sentence; what a terminal cannot show is shown as it can."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

import click

MOST_CHARS = 200_000
"""The hub takes no longer prompt."""


def refuse_broken(arguments: Sequence[str]) -> None:
    """Raise UsageError for an argument with bytes that are no text."""
    for number, argument in enumerate(arguments, start=1):
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            shown = argument.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            raise click.UsageError(
                f"Argument {number} is no UTF-8 text: {shown[:80]}. Check the terminal's encoding."
            ) from error


def read_stdin() -> str:
    """All of stdin as text; raises UsageError for what is none, and for too much of it."""
    if sys.stdin is None:
        raise click.UsageError("The prompt was to come from stdin, and that is closed.")
    source = getattr(sys.stdin, "buffer", None)
    raw = source.read(4 * MOST_CHARS + 4) if source else sys.stdin.read(MOST_CHARS + 1).encode()
    try:
        text: str = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(raw) > 4 * MOST_CHARS:
            raise _too_long() from error
        raise click.UsageError(
            f"Stdin is no UTF-8 text: byte {error.start + 1} is 0x{raw[error.start]:02x}. "
            "Convert it first, for example with iconv, or name the file in the prompt."
        ) from error
    if "\0" in text:
        raise click.UsageError("Stdin holds a NUL byte and is no text: name the file instead.")
    if len(text) > MOST_CHARS:
        raise _too_long()
    return text


def _too_long() -> click.UsageError:
    return click.UsageError(
        f"Stdin holds more than {MOST_CHARS:,} characters: put them into a file and name it."
    )


def show_what_can_be_shown() -> None:
    """Let a stream whose encoding lacks a character print a stand-in for it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
