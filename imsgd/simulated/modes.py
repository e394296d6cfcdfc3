"""Every way a send may end on a real Mac, by name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    OK = "ok"
    LATE_ROW = "late-row"
    NO_ROW = "no-row"
    GHOST = "ghost"
    """Success, and an empty outgoing row in no chat."""
    NOT_DELIVERED = "not-delivered"
    """Success, and two seconds later error 22."""
    LINK = "link"
    """The text's row and a second one for the preview."""
    SPLIT = "split"
    """A row for the words and one for the link at their end."""
    NO_CHAT = "no-chat"
    """-1728 for the chat; its participant is found."""
    NO_TARGET = "no-target"
    """-1728 for chat and participant."""
    NOT_AUTHORISED = "not-authorised"
    NOT_RUNNING = "not-running"
    EVENT_TIMEOUT = "event-timeout"
    EVENT_TIMEOUT_SENT = "event-timeout-sent"
    HANG = "hang"
    HANG_STUBBORN = "hang-stubborn"
    """Ignores SIGTERM, with a grandchild that holds stderr open."""
    SENT_THEN_HANG = "sent-then-hang"


class Stage(StrEnum):
    """Whether an error came before the text was handed over."""

    RESOLVING = "resolving"
    SENDING = "sending"


@dataclass(frozen=True, slots=True)
class Failure:
    number: int
    text: str
    stage: Stage


NO_CHAT_TEXT = "Can’t get chat id “{target}”."  # noqa: RUF001 - what osascript really prints

FAILURES = {
    Mode.NO_CHAT: Failure(-1728, NO_CHAT_TEXT, Stage.RESOLVING),
    Mode.NO_TARGET: Failure(-1728, NO_CHAT_TEXT, Stage.RESOLVING),
    Mode.NOT_AUTHORISED: Failure(
        -1743, "Not authorized to send Apple events to Messages.", Stage.RESOLVING
    ),
    Mode.NOT_RUNNING: Failure(-600, "Application isn’t running.", Stage.RESOLVING),  # noqa: RUF001
    Mode.EVENT_TIMEOUT: Failure(-1712, "AppleEvent timed out.", Stage.SENDING),
    Mode.EVENT_TIMEOUT_SENT: Failure(-1712, "AppleEvent timed out.", Stage.SENDING),
}
HANGS = {Mode.HANG, Mode.HANG_STUBBORN, Mode.SENT_THEN_HANG}
WITHOUT_ROW = {Mode.NO_ROW, Mode.HANG, Mode.HANG_STUBBORN, Mode.EVENT_TIMEOUT}
