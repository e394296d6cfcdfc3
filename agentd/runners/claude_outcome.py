"""What the end of a Claude Code run means: a pure function of what was seen (DESIGN §6).

Structured data first, words last. An API failure is `subtype: success` with `is_error: true`, so
the subtype alone says nothing.
"""

from __future__ import annotations

import re
from typing import Any

from agentd.runners.blame import Blame, whom
from agentd.runners.claude_stream import Fold
from agentd.runners.exits import NOT_RUN_CODES, Exit
from agentd.runners.protocol import Ended
from common.wire.tasks import Cap, Outcome

ERROR_CHARS = 2000

_BY_ERROR = {
    "authentication_failed": Outcome.NEEDS_LOGIN,
    "oauth_org_not_allowed": Outcome.NEEDS_LOGIN,
    "billing_error": Outcome.NEEDS_LOGIN,
    "account_on_hold": Outcome.NEEDS_LOGIN,
    "rate_limit": Outcome.PROVIDER_BUSY,
    "overloaded": Outcome.PROVIDER_BUSY,
    "server_error": Outcome.PROVIDER_BUSY,
    "model_not_found": Outcome.PERMANENT,
    "invalid_request": Outcome.PERMANENT,
    "max_output_tokens": Outcome.TASK_ERROR,
}

_BY_TERMINAL_REASON = {
    "prompt_too_long": Outcome.PERMANENT,
    "image_error": Outcome.PERMANENT,
    "blocking_limit": Outcome.PERMANENT,
}

_LOGIN_WORDS = (
    "/login",
    "not logged in",
    "invalid api key",
    "oauth token",
    "keychain",  # locked, or not to be opened from a session without a screen
    "user interaction is not allowed",
)

_NO_ACCESS_TO_MODEL = re.compile(r"access to (?:the )?(?:model|claude[- ]|opus|sonnet|haiku)", re.I)


def classify(fold: Fold, end: Exit) -> Ended:
    """The one `Ended` of a run."""
    outcome, error = _verdict(fold, end)
    blame = _blame(fold, outcome, error)
    return Ended(
        outcome=outcome,
        text=_text(fold),
        error=error[-ERROR_CHARS:] if error else None,
        session_id=fold.session_id,
        usage=fold.usage,
        cost_usd=fold.cost_usd,
        resets_at=fold.resets_at if outcome is Outcome.PROVIDER_LIMIT else None,
        scope=blame.scope,
        limited_model=blame.limited_model,
        unfit=outcome is Outcome.INTERRUPTED and _never_ran(fold, end),
        partial=fold.partial,
        final=outcome is Outcome.TASK_ERROR and _is_final(fold),
        session_gone=_session_gone(fold.result),
        capped=_capped(fold.result) if outcome is Outcome.TASK_ERROR else None,
    )


def _blame(fold: Fold, outcome: Outcome, error: str | None) -> Blame:
    return whom(
        outcome,
        named=str(fold.errors[-1].get("error")) if fold.errors else "",
        status=(fold.result or {}).get("api_error_status"),
        words=error or "",
        limit_type=(fold.limit or {}).get("rateLimitType"),
    )


def _capped(result: dict[str, Any] | None) -> Cap | None:
    """Which of the limits it was given ended it in the middle of its work."""
    match (result or {}).get("subtype"):
        case "error_max_turns":
            return Cap.TURNS
        case "error_max_budget_usd":
            return Cap.BUDGET
    return None


def _is_final(fold: Fold) -> bool:
    """A cap of the task or the model's own word: a decision for a person, not for a retry."""
    result = fold.result or {}
    return (
        result.get("subtype") == "error_max_budget_usd"
        or result.get("stop_reason") == "refusal"
        or any(error.get("error") == "max_output_tokens" for error in fold.errors)
    )


def _text(fold: Fold) -> str:
    result = fold.result or {}
    if not result.get("is_error") and isinstance(result.get("result"), str):
        return str(result["result"])
    return fold.last_text if not fold.errors else ""


def _verdict(fold: Fold, end: Exit) -> tuple[Outcome, str | None]:
    if fold.result is None:
        return _without_result(fold, end)
    result = fold.result
    if not result.get("is_error") and result.get("subtype") == "success":
        return Outcome.OK, _denials(result)
    match result.get("subtype"):
        case "error_max_turns":
            return Outcome.TASK_ERROR, f"{_errors(result)}."
        case "error_max_budget_usd":
            return Outcome.TASK_ERROR, f"{_errors(result)}. Continue it with a higher budget."
        case "error_during_execution":
            return _during_execution(result, end)
    return _api_failure(fold, result)


def _during_execution(result: dict[str, Any], end: Exit) -> tuple[Outcome, str]:
    if end.ours is not None:
        return end.ours
    errors = _errors(result)
    if _session_gone(result):
        return Outcome.PERMANENT, f"{errors}. Its session is gone from this node; start afresh."
    return Outcome.TASK_ERROR, errors


def _session_gone(result: dict[str, Any] | None) -> bool:
    """Nothing was said to a model: the CLI had no session of that id to resume."""
    return result is not None and "No conversation found" in _errors(result)


def _api_failure(fold: Fold, result: dict[str, Any]) -> tuple[Outcome, str]:
    said = str(result.get("result") or _errors(result))
    if fold.limit is not None or result.get("api_error") == "usage_limit_reached":
        return Outcome.PROVIDER_LIMIT, said
    if result.get("stop_reason") == "refusal":
        return Outcome.TASK_ERROR, said
    reason = str(result.get("terminal_reason"))
    if reason in _BY_TERMINAL_REASON:
        return _BY_TERMINAL_REASON[reason], said
    named = str(fold.errors[-1].get("error")) if fold.errors else ""
    if result.get("api_error_status") == 403 and _NO_ACCESS_TO_MODEL.search(said):
        return Outcome.PERMANENT, f"{said} Choose another model."
    if named in _BY_ERROR:
        return _BY_ERROR[named], said
    return _by_status(result.get("api_error_status")), said


def _by_status(status: object) -> Outcome:
    match status:
        case 401 | 403:
            return Outcome.NEEDS_LOGIN
        case 400 | 404 | 413 | 422:
            return Outcome.PERMANENT
        case 408 | 429:
            return Outcome.PROVIDER_BUSY
        case int() if status >= 500:
            return Outcome.PROVIDER_BUSY
    return Outcome.TASK_ERROR


def _without_result(fold: Fold, end: Exit) -> tuple[Outcome, str]:
    if end.ours is not None:
        return end.ours
    complaint = end.stderr.strip()
    if end.by_signal:
        return Outcome.NODE_FAULT, f"claude was ended by a signal from outside. {complaint}".strip()
    if any(word in complaint.lower() for word in _LOGIN_WORDS):
        return Outcome.NEEDS_LOGIN, complaint
    if _never_ran(fold, end):
        return Outcome.INTERRUPTED, (
            f"claude could not be run ({complaint or f'exit {end.returncode}'}). Install what it"
            " misses, or install Claude Code again."
        )
    if end.returncode != 0 and fold.session_id is None:
        return Outcome.PERMANENT, complaint or f"claude ended with {end.returncode} at its start"
    return (
        Outcome.NODE_FAULT,
        f"claude ended ({end.returncode}) without a result. {complaint}".strip(),
    )


def _never_ran(fold: Fold, end: Exit) -> bool:
    """A script whose interpreter is missing: nothing of it was run."""
    return end.returncode in NOT_RUN_CODES and fold.session_id is None and fold.result is None


def _errors(result: dict[str, Any]) -> str:
    errors = [str(error) for error in result.get("errors", ())]
    return "; ".join(errors) or str(result.get("terminal_reason") or result.get("subtype"))


def _denials(result: dict[str, Any]) -> str | None:
    """Denied calls of a run that ended well: the answer may be less than was asked for."""
    denied = [str(item.get("tool_name")) for item in result.get("permission_denials", ())]
    if not denied:
        return None
    return f"{len(denied)} tool call{'s' if len(denied) > 1 else ''} denied: {', '.join(denied)}"
