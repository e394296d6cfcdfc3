"""What the end of a Claude Code run means: a pure function of what was seen (DESIGN §6).

Structured data first, words last. An API failure is `subtype: success` with `is_error: true`, so
the subtype alone says nothing.
"""

from __future__ import annotations

import re
from datetime import datetime

from agentd.runners.blame import Blame, whom
from agentd.runners.claude_notices import notices
from agentd.runners.claude_stream import Fold, is_failure
from agentd.runners.exits import NOT_RUN_CODES, Exit
from agentd.runners.foreign import Oddities, Part, moment_of
from agentd.runners.protocol import Ended
from common.wire.tasks import Cap, Outcome

ERROR_CHARS = 2000
LIMIT_CHARS = 300
"""Longer, it is an answer that speaks of limits."""

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
_NOTHING = Part({}, Oddities(), "")

LIMIT_WORDS = re.compile(
    r"\b(?:hit|reached|exceeded) (?:your|the) [\w\s-]{0,40}\b(?:usage )?limit\b"
    r"|\busage limit reached\b|\bout of extra usage\b",
    re.IGNORECASE,
)
"""How the CLI says that a usage limit is reached; older ones put `|<reset time>` behind it."""

_RESET_IN_WORDS = re.compile(r"\|(\d{9,19})\b")


def classify(fold: Fold, end: Exit) -> Ended:
    """The one `Ended` of a run."""
    outcome, error = _verdict(fold, end)
    blame = _blame(fold, outcome, error)
    return Ended(
        outcome=outcome,
        text=fold.text,
        error=error[-ERROR_CHARS:] if error else None,
        session_id=fold.session_id,
        usage=fold.usage,
        cost_usd=fold.cost_usd,
        resets_at=_resets_at(fold, error) if outcome is Outcome.PROVIDER_LIMIT else None,
        scope=blame.scope,
        limited_model=blame.limited_model,
        unfit=outcome is Outcome.INTERRUPTED and _never_ran(fold, end),
        partial=fold.partial,
        final=outcome is Outcome.TASK_ERROR and _is_final(fold),
        session_gone=_session_gone(fold.result),
        capped=_capped(fold.result) if outcome is Outcome.TASK_ERROR else None,
        notices=notices(fold, ok=outcome is Outcome.OK, in_words=_limited_in_words(fold, outcome)),
    )


def _resets_at(fold: Fold, error: str | None) -> datetime | None:
    in_words = _RESET_IN_WORDS.search(error or "")
    return fold.resets_at or (moment_of(int(in_words[1])) if in_words else None)


def _limited_in_words(fold: Fold, outcome: Outcome) -> bool:
    """An end that calls itself a success, and whose answer is that a limit is reached."""
    return (
        outcome is Outcome.OK
        and len(fold.text) <= LIMIT_CHARS
        and LIMIT_WORDS.search(fold.text) is not None
    )


def _blame(fold: Fold, outcome: Outcome, error: str | None) -> Blame:
    result = fold.result or _NOTHING
    return whom(
        outcome,
        named=fold.errors[-1] if fold.errors else "",
        status=result.count("api_error_status") or None,
        words=error or "",
        limit_type=None if fold.limit is None else fold.limit.text("rateLimitType"),
    )


def _capped(result: Part | None) -> Cap | None:
    """Which of the limits it was given ended it in the middle of its work."""
    match (result or _NOTHING).text("subtype"):
        case "error_max_turns":
            return Cap.TURNS
        case "error_max_budget_usd":
            return Cap.BUDGET
    return None


def _is_final(fold: Fold) -> bool:
    """A cap of the task or the model's own word: a decision for a person, not for a retry."""
    result = fold.result or _NOTHING
    return (
        result.text("subtype") == "error_max_budget_usd"
        or result.text("stop_reason") == "refusal"
        or "max_output_tokens" in fold.errors
    )


def _verdict(fold: Fold, end: Exit) -> tuple[Outcome, str | None]:
    if end.fault is not None:
        return Outcome.INTERNAL, end.fault
    if fold.result is None:
        return _without_result(fold, end)
    result = fold.result
    if not is_failure(result):
        return Outcome.OK, _denials(fold)
    match result.text("subtype"):
        case "error_max_turns":
            return Outcome.TASK_ERROR, f"{_errors(result)}."
        case "error_max_budget_usd":
            return Outcome.TASK_ERROR, f"{_errors(result)}. Continue it with a higher budget."
        case "error_during_execution":
            return _during_execution(result, end)
    return _api_failure(fold, result)


def _during_execution(result: Part, end: Exit) -> tuple[Outcome, str]:
    if end.ours is not None:
        return end.ours
    errors = _errors(result)
    if _session_gone(result):
        return Outcome.PERMANENT, f"{errors}. Its session is gone from this node; start afresh."
    return Outcome.TASK_ERROR, errors


def _session_gone(result: Part | None) -> bool:
    """Nothing was said to a model: the CLI had no session of that id to resume."""
    return result is not None and "No conversation found" in _errors(result)


def _api_failure(fold: Fold, result: Part) -> tuple[Outcome, str]:
    said = result.text("result") or _errors(result)
    if fold.limit is not None or result.text("api_error") == "usage_limit_reached":
        return Outcome.PROVIDER_LIMIT, said
    if result.text("stop_reason") == "refusal":
        return Outcome.TASK_ERROR, said
    reason = result.text("terminal_reason")
    if reason in _BY_TERMINAL_REASON:
        return _BY_TERMINAL_REASON[reason], said
    if len(said) <= LIMIT_CHARS and LIMIT_WORDS.search(said):
        return Outcome.PROVIDER_LIMIT, said
    named = fold.errors[-1] if fold.errors else ""
    if result.count("api_error_status") == 403 and _NO_ACCESS_TO_MODEL.search(said):
        return Outcome.PERMANENT, f"{said} Choose another model."
    if named in _BY_ERROR:
        return _BY_ERROR[named], said
    return _by_status(result.count("api_error_status")), said


def _by_status(status: int) -> Outcome:
    match status:
        case 401 | 403:
            return Outcome.NEEDS_LOGIN
        case 400 | 404 | 413 | 422:
            return Outcome.PERMANENT
        case 408 | 429:
            return Outcome.PROVIDER_BUSY
        case _ if status >= 500:
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


def _errors(result: Part) -> str:
    errors = result.texts("errors") if "errors" in result else []
    return "; ".join(errors) or result.text("terminal_reason") or result.text("subtype")


def _denials(fold: Fold) -> str | None:
    """Denied calls of a run that ended well: the answer may be less than was asked for."""
    denied = list(fold.denied.values())
    if not denied:
        return None
    return f"{len(denied)} tool call{'s' if len(denied) > 1 else ''} denied: {', '.join(denied)}"
