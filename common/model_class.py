"""The class of a model: what a provider limits as one, whatever name a task gives the model."""

from __future__ import annotations

import re

FAMILIES = ("opus", "sonnet", "haiku", "fable")
"""Claude's families. Their weekly limits are per family, and every alias and id holds its name."""

NO_MODEL = ("", "default", "inherit", "auto", "best")
"""Names that leave the choice to whoever runs the task."""

_PREFIX = re.compile(r"^.*[/]")
_VARIANT = re.compile(r"\[[^\]]*\]$|(:[a-z0-9.-]+)$")
_DATE = re.compile(r"[-@]\d{8}$|-\d{4}-\d{2}-\d{2}$")
_FOREIGN = re.compile(r"[^a-z0-9._-]+")


def model_class(name: str | None) -> str | None:
    """`opus` for `opus`, `claude-opus-5-5`, `us.anthropic.claude-opus-4-20250514-v1:0` and
    `opusplan` (which needs Opus to plan); another maker's model is a class of its own. None when
    the name says nothing."""
    word = (name or "").strip().lower()
    if word in NO_MODEL:
        return None
    for family in FAMILIES:
        if family in word:
            return family
    for pattern in (_PREFIX, _VARIANT, _DATE):
        word = pattern.sub("", word)
    return _FOREIGN.sub("-", word).strip("-._")[:64] or None
