"""Which files of a message are handed on, and when they are there to be handed on."""

from __future__ import annotations

from dataclasses import dataclass

from common.filenames import safe_name

FINISHED = 5
FAILED = 6
MAX_BYTES = 20 * 1024 * 1024
"""What the hub takes."""
MAX_FILES = 20


@dataclass(frozen=True, slots=True)
class Attachment:
    """A row of `attachment`. `filename` begins with `~` and is None until it is downloaded."""

    filename: str | None
    name: str | None
    media_type: str | None
    transfer_state: int
    hidden: bool = False
    """A sticker, a Live Photo's film, or whatever else the phone does not show as a file."""

    @property
    def is_there(self) -> bool:
        return self.filename is not None and self.transfer_state == FINISHED

    @property
    def is_settled(self) -> bool:
        """Nothing more will come of waiting for it."""
        return self.hidden or self.is_there or self.transfer_state >= FAILED

    @property
    def shown_name(self) -> str:
        """The name to hand it on under: never a path."""
        return safe_name(self.name or self.filename or "")


def to_hand_on(attachments: list[Attachment]) -> list[Attachment]:
    return [one for one in attachments if one.is_there and not one.hidden][:MAX_FILES]
