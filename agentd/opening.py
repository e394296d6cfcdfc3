"""What a run is told first: its task, or that it was interrupted and goes on where it was.

A session that has the task's prompt never gets it again: a model that reads its first order twice
begins from the start, in a folder in which half of it is done.
"""

from __future__ import annotations

from dataclasses import dataclass

from common.wire.nodes import Earlier
from common.wire.tasks import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What this run finds. `heard`: its session has the task's prompt. `continues`: a conversation
    is resumed. `kept`: it works in the folder of an earlier run. `here`: that ran on this node."""

    heard: bool
    continues: bool
    kept: bool
    here: bool


def opening(prompt: str, earlier: Earlier | None, situation: Situation) -> str:
    """The first message of the run."""
    if situation.heard and situation.continues:
        return _continue(earlier, situation)
    if earlier is None:
        return prompt
    if not situation.here:
        note = (
            f"An earlier run of this task on {earlier.node} was interrupted. What it changed in"
            f" its work folder is on {earlier.node} only: you begin from the start."
        )
    elif situation.kept:
        note = (
            "An earlier run of this task was interrupted, and what was said in it is lost. This is"
            " its folder: look at what is done already before you begin."
        )
    else:
        note = (
            "An earlier run of this task was interrupted. What was said in it and its folder are"
            " gone: you begin from the start."
        )
    return f"{prompt}\n\n({note})"


def _continue(earlier: Earlier | None, situation: Situation) -> str:
    lines = [
        f"You were interrupted: {_reason(earlier)} Continue with the task where you were; do not"
        " start over. The last step may or may not have finished: look before you repeat it."
    ]
    if not situation.kept:
        lines.append("Your earlier work folder is gone; the one you are in is a new one.")
    return "\n".join(lines)


def _reason(earlier: Earlier | None) -> str:
    if earlier is None:
        return "the run had to be stopped."
    match earlier.outcome:
        case Outcome.PROVIDER_LIMIT:
            return "the provider's usage limit was reached. It has been reset."
        case Outcome.TASK_ERROR if earlier.error:
            return f"the run ended with an error ({earlier.error.strip()[:500]})."
        case Outcome.LOST | Outcome.INTERRUPTED | Outcome.KILLED:
            return "the program you run in was stopped."
    return f"the run had to be stopped ({earlier.outcome})."
