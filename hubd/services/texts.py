"""A text as the hub obeys it, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """A message that may command. `refers`: it is an inline reply or a tapback on one of our
    bubbles, which spoke of `about_task` or asked `about_approval`."""

    chat: str
    sender: str
    text: str
    order: int | None = None
    tapback: str | None = None
    about_task: int | None = None
    about_approval: int | None = None
    refers: bool = False
    files: tuple[str, ...] = ()
    lost_files: tuple[str, ...] = ()
    via: str = "text"
    waits: bool = False
    """It is a link or files alone: words for it may be on their way."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What became of a text. `reply` None: nothing is said beyond what the effect itself says."""

    reply: str | None = None
    task_id: int | None = None
    approval_id: int | None = None
