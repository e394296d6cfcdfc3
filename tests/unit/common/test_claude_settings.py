"""Which of the owner's own Claude settings would silence every question."""

from __future__ import annotations

from typing import Any

import pytest

from common.claude_settings import judge


def allow(*rules: str) -> dict[str, Any]:
    return {"permissions": {"allow": list(rules)}}


@pytest.mark.parametrize(
    "settings",
    [
        allow("Bash"),
        allow("Bash(*)"),
        allow("Bash(:*)"),
        allow("Edit"),
        allow("Write"),
        allow("Edit(//**)"),
        allow("Edit(~/**)"),
        allow("WebSearch", "Bash"),
        {"sandbox": {"network": {"allowedDomains": ["*"]}}},
        {"sandbox": {"filesystem": {"allowWrite": ["//"]}}},
        {"sandbox": {"filesystem": {"allowWrite": ["~/"]}}},
    ],
)
def test_settings_for_everything_are_too_wide(settings: dict[str, Any]) -> None:
    assert len(judge(settings, sandboxed=False).too_wide) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {},
        None,
        [],
        allow("Bash(npm test:*)", "Bash(git status)", "WebFetch", "Read", "Edit(src/**)"),
        {"permissions": {"allow": None}},
        {"permissions": {"defaultMode": "bypassPermissions"}},  # the mode is always ours
        {"sandbox": {"enabled": False, "network": {"allowedDomains": ["a.example", 3]}}},
    ],
)
def test_settings_that_mean_something_certain_count(settings: object) -> None:
    assert judge(settings, sandboxed=False).too_wide == ()


def test_every_command_is_harmless_in_the_sandbox_unless_commands_are_taken_out_of_it() -> None:
    assert judge(allow("Bash"), sandboxed=True).too_wide == ()
    taken_out = allow("Bash") | {"sandbox": {"excludedCommands": ["docker *"]}}
    assert judge(taken_out, sandboxed=True).too_wide == ("permissions.allow: Bash",)
    assert judge(taken_out, sandboxed=True).excludes
