"""Which files of a message are handed on, and when they are there to be handed on."""

from __future__ import annotations

from dataclasses import dataclass

from common.filenames import safe_name

FINISHED = 5
FAILED = 6
MAX_BYTES = 20 * 1024 * 1024
"""What the hub takes."""
MAX_FILES = 20
_MEMOS = (".caf", ".amr")
PAYLOAD = ".pluginpayloadattachment"
"""The end of the name of what Messages draws a balloon from."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A row of `attachment`. `filename` begins with `~` and is None until it is downloaded."""

    filename: str | None
    name: str | None
    media_type: str | None
    transfer_state: int
    hidden: bool = False
    """A sticker, a Live Photo's film, or whatever else the phone does not show as a file."""
    transcript: str | None = None
    """The words of a voice memo."""
    rowid: int = 0

    @property
    def is_there(self) -> bool:
        return self.filename is not None and self.transfer_state == FINISHED

    @property
    def is_shown(self) -> bool:
        """Whether the phone shows it as a file."""
        return not self.hidden and not (self.name or self.filename or "").lower().endswith(PAYLOAD)

    @property
    def is_settled(self) -> bool:
        """Nothing more will come of waiting for it."""
        return not self.is_shown or self.is_there or self.transfer_state >= FAILED or self.is_said

    @property
    def is_said(self) -> bool:
        """Its words are known, so its sound is not missed."""
        return bool(self.transcript)

    @property
    def is_memo(self) -> bool:
        """A voice memo by its form; its media type is empty on macOS 26."""
        return (self.filename or self.name or "").lower().endswith(_MEMOS)

    @property
    def shown_name(self) -> str:
        """The name to hand it on under: never a path."""
        return safe_name(self.name or self.filename or "")


UNNAMED = Attachment(None, "a file", None, 0)
"""What a message shows a place for and chat.db has no row of."""


def to_hand_on(attachments: list[Attachment]) -> list[Attachment]:
    return [one for one in attachments if one.is_there and one.is_shown][:MAX_FILES]


def to_await(attachments: list[Attachment]) -> list[Attachment]:
    """What the phone shows with the message and this Mac does not have (yet)."""
    return [one for one in attachments if one.is_shown and not (one.is_there or one.is_said)]
