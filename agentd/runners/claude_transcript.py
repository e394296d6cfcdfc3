"""Claude Code's own record of a session, read for two things: whether a message had arrived, and
what was used after it.

The CLI writes it a moment late, so after a kill it is the only one that knows what a resumed
session will remember, and what was used while nobody listened any more.
Measured on 2.1.330: `projects/<folder>/<session>.jsonl`, one entry per line, a user message under
the `uuid` it was sent with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from agentd.lines import json_object
from common.wire.usage import Usage

COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
)
ID = re.compile(r"[A-Za-z0-9-]+")


def transcript_holds(
    session_id: str, message_id: str, environment: Mapping[str, str]
) -> bool | None:
    """None when there is no transcript where Claude Code of that environment keeps them."""
    found = None
    for path in _transcripts(session_id, environment):
        try:
            with path.open("rb") as lines:
                found = found or any(message_id.encode() in line for line in lines)
        except OSError:
            continue
    return found


def recorded_usage(
    session_id: str, message_id: str, environment: Mapping[str, str]
) -> tuple[Usage, ...]:
    """What the models used from that message on, as far as it was written down."""
    messages: dict[str, Usage] = {}
    for path in _transcripts(session_id, environment):
        begun = False
        for line in _lines(path):
            begun = begun or line.get("uuid") == message_id
            if begun and line.get("type") == "assistant":
                _note_message(messages, line.get("message"))
    totals: dict[str, Usage] = {}
    for usage in messages.values():
        totals[usage.model] = _each(totals.get(usage.model), usage, sum)
    return tuple(totals[model] for model in sorted(totals))


def _note_message(messages: dict[str, Usage], message: object) -> None:
    """One line per content block: the last of a message has its whole usage."""
    if not isinstance(message, dict) or not isinstance(message.get("usage"), dict):
        return
    model, used = str(message.get("model")), message["usage"]
    if model == "<synthetic>":
        return
    hour = used.get("cache_creation")
    usage = Usage(
        model=model,
        input_tokens=_count(used.get("input_tokens")),
        output_tokens=_count(used.get("output_tokens")),
        cache_read_tokens=_count(used.get("cache_read_input_tokens")),
        cache_write_tokens=_count(used.get("cache_creation_input_tokens")),
        cache_write_1h_tokens=_count(
            hour.get("ephemeral_1h_input_tokens") if isinstance(hour, dict) else 0
        ),
    )
    key = str(message.get("id"))
    messages[key] = _each(messages.get(key), usage, max)


def at_least(seen: Iterable[Usage], recorded: Iterable[Usage]) -> list[Usage]:
    """Both are what was seen of the same, neither more than there was: the greater one counts."""
    totals = {usage.model: usage for usage in seen}
    for usage in recorded:
        totals[usage.model] = _each(totals.get(usage.model), usage, max)
    return [totals[model] for model in sorted(totals)]


def _each(one: Usage | None, other: Usage, join: Callable[[list[int]], int]) -> Usage:
    """Join both, count by count; a cost is kept only where nothing was added to it."""
    if one is None:
        return other
    counts = {name: join([getattr(one, name), getattr(other, name)]) for name in COUNTS}
    same = all(counts[name] == getattr(one, name) for name in COUNTS)
    return one if same else msgspec.structs.replace(one, cost_usd=None, calls=None, **counts)


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            for raw in file:
                if (line := json_object(raw)) is not None:
                    yield line
    except OSError:
        return


def _transcripts(session_id: str, environment: Mapping[str, str]) -> list[Path]:
    if ID.fullmatch(session_id) is None:
        return []
    return sorted(_projects(environment).glob(f"*/{session_id}.jsonl"))


def _projects(environment: Mapping[str, str]) -> Path:
    configured = environment.get("CLAUDE_CONFIG_DIR")
    home = Path(configured) if configured else Path(environment.get("HOME", "/")) / ".claude"
    return home / "projects"
