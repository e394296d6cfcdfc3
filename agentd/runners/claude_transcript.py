"""Claude Code's own record of a session, read for one thing: whether a message had arrived.

The CLI writes it a moment late, so after a kill it is the only one that knows what a resumed
session will remember. Measured on 2.1.330: `projects/<folder>/<session>.jsonl`, one entry per line,
a user message under the `uuid` it was sent with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

ID = re.compile(r"[A-Za-z0-9-]+")


def transcript_holds(
    session_id: str, message_id: str, environment: Mapping[str, str]
) -> bool | None:
    """None when there is no transcript where Claude Code of that environment keeps them."""
    if ID.fullmatch(session_id) is None:
        return None
    found = None
    for path in sorted(_projects(environment).glob(f"*/{session_id}.jsonl")):
        try:
            with path.open("rb") as lines:
                found = found or any(message_id.encode() in line for line in lines)
        except OSError:
            continue
    return found


def _projects(environment: Mapping[str, str]) -> Path:
    configured = environment.get("CLAUDE_CONFIG_DIR")
    home = Path(configured) if configured else Path(environment.get("HOME", "/")) / ".claude"
    return home / "projects"
