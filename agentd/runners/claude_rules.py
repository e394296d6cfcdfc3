"""The rules by which Claude Code would not ask again, read from its `permission_suggestions`.

They only say what a yes for the rest of a task covers: the hub keeps it and answers each later
question itself. None is ever installed in Claude, where a rule could not be taken back, would
cover what is of high risk as well, and by Claude's own wish would be written to the repository.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

MOST_RULES = 20
RULE_CHARS = 500
"""What the wire carries; a call that needs more is covered as the one call it is."""


def rules_of(request: dict[str, Any]) -> tuple[str, ...]:
    """`Bash(npm test *)` and so on, in one order; empty where Claude suggests no rule. A change of
    mode and further folders are no rules."""
    rules = sorted(set(_rules(request.get("permission_suggestions"))))
    if len(rules) > MOST_RULES or any(len(rule) > RULE_CHARS for rule in rules):
        return ()
    return tuple(rules)


def _rules(suggestions: Any) -> Iterator[str]:
    for suggestion in suggestions if isinstance(suggestions, list) else ():
        if not isinstance(suggestion, dict) or suggestion.get("type") != "addRules":
            continue
        if suggestion.get("behavior") != "allow":
            continue
        rules = suggestion.get("rules")
        for rule in rules if isinstance(rules, list) else ():
            if isinstance(rule, dict) and isinstance(rule.get("toolName"), str):
                content = rule.get("ruleContent")
                yield f"{rule['toolName']}({content})" if content else rule["toolName"]
