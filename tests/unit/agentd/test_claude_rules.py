"""Which of Claude's suggestions are rules a person may say yes to for the rest of a task."""

from __future__ import annotations

from typing import Any

import pytest

from agentd.runners.claude_questions import PendingRequest
from agentd.runners.claude_rules import rules_of
from agentd.runners.foreign import Oddities, Part
from agentd.runners.protocol import Answer


def adds(*rules: object, **changes: object) -> dict[str, Any]:
    base = {"type": "addRules", "rules": list(rules), "behavior": "allow"}
    return base | {"destination": "localSettings"} | changes


NPM = {"toolName": "Bash", "ruleContent": "npm test *"}


@pytest.mark.parametrize(
    ("suggestions", "rules"),
    [
        ([adds(NPM)], ("Bash(npm test *)",)),
        ([adds({"toolName": "WebSearch"})], ("WebSearch",)),
        (
            [adds({"toolName": "Bash", "ruleContent": "b"}), adds(NPM)],
            ("Bash(b)", "Bash(npm test *)"),
        ),
        ([adds(NPM), adds(NPM)], ("Bash(npm test *)",)),
        ([{"type": "setMode", "mode": "acceptEdits", "destination": "session"}], ()),
        ([{"type": "setMode", "mode": "bypassPermissions"}], ()),
        ([{"type": "addDirectories", "directories": ["/"]}], ()),
        ([adds(NPM, behavior="deny")], ()),
        ([adds(None, 3, {"ruleContent": "x"})], ()),
        ([None, "x", adds(NPM, rules=None)], ()),
        (None, ()),
        ("npm", ()),
        ([adds({"toolName": "Bash", "ruleContent": "x" * 600})], ()),
    ],
)
def test_only_rules_that_allow_are_rules(suggestions: Any, rules: tuple[str, ...]) -> None:
    assert rules_of({"permission_suggestions": suggestions}) == rules


def test_no_suggestion_is_ever_given_back_to_claude() -> None:
    request = {"tool_name": "Bash", "input": {"command": "npm test"}}
    suggesting = Part(request | {"permission_suggestions": [adds(NPM)]}, Oddities(), "request")
    pending = PendingRequest.of("c1", suggesting)
    assert pending.next_question("c1:1").rules == ("Bash(npm test *)",)
    pending.take(Answer(allow=True))
    assert pending.response() == {"behavior": "allow", "updatedInput": {"command": "npm test"}}
