"""The environment of what an attempt runs, built from nothing.

Nothing of agentd's own environment reaches a model's tools but the few names a login and a shell
need: no token of the mesh, no key, no setting of somebody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

ATTEMPT_MARK = "MESH_ATTEMPT"
"""Set to the fence in every process of an attempt, so that its remains can be found."""

AGENT_MARK = "MESH_AGENT"
"""Set to the agent's own mark, so that two agents on one machine leave each other's alone."""

PASSED_ON = ("HOME", "PATH", "LANG", "LC_ALL", "TMPDIR", "USER", "LOGNAME", "SHELL", "TZ")
"""USER and LOGNAME: the macOS keychain entry of the Claude login is filed under them."""

DEFAULT_PATH = "/usr/local/bin:/opt/homebrew/bin:/usr/bin:/bin:/usr/sbin:/sbin"


def attempt_environment(
    own: Mapping[str, str], configured: Mapping[str, str], *, fence: int, agent_mark: str
) -> dict[str, str]:
    """The environment of one attempt; `configured` (`agent.env`) overrides what is passed on."""
    passed = {name: own[name] for name in PASSED_ON if name in own}
    passed.setdefault("PATH", DEFAULT_PATH)
    passed.setdefault("LANG", "C.UTF-8")
    passed.setdefault("HOME", str(Path.home()))
    marks = {ATTEMPT_MARK: str(fence), AGENT_MARK: agent_mark}
    return passed | {"TERM": "dumb"} | dict(configured) | marks
