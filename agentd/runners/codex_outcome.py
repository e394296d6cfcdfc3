"""What a failed turn of Codex means, and whom it concerns. Pure; Codex says it in words only."""

from __future__ import annotations

import re

from agentd.runners.blame import OF_THE_ACCOUNT, Blame, whom
from common.model_class import model_class
from common.wire.nodes import Scope
from common.wire.tasks import Outcome

STATUS = re.compile(r"status:? (\d{3})")

_BILLING = ("quota exceeded", "insufficient_quota", "billing details", "chatgpt plan, upgrade")
_LOGIN = (
    "refresh token", "sign in again", "log in again", "not logged in", "could not be refreshed",
    "invalid api key", "incorrect api key",
)  # fmt: skip
_TASKS_OWN = (
    "invalid_request_error", "context window", "is not supported when using codex",
    "does not exist or you do not have access",
)  # fmt: skip
_NETWORK = ("disconnected", "network", "timed out", "error sending request", "connection")
_CAPACITY = "at capacity"


def classify_failure(message: str) -> Outcome:
    """The class of a failed turn."""
    words = message.lower()
    if "usage limit" in words:
        return Outcome.PROVIDER_LIMIT
    if _has(words, _BILLING) or _has(words, _LOGIN):
        return Outcome.NEEDS_LOGIN
    if _has(words, _TASKS_OWN):
        return Outcome.PERMANENT
    match status_in(words):
        case 401 | 403:
            return Outcome.NEEDS_LOGIN
        case 400 | 404 | 413:
            return Outcome.PERMANENT
        case 429:
            return Outcome.PROVIDER_BUSY
        case int() as code if code >= 500:
            return Outcome.PROVIDER_BUSY
    if _has(words, _NETWORK) or "high demand" in words or _CAPACITY in words:
        return Outcome.PROVIDER_BUSY
    return Outcome.TASK_ERROR


def blame_failure(outcome: Outcome, message: str, model: str) -> Blame:
    """Whom the provider refused; `model` is what the run used."""
    words = message.lower()
    if outcome is Outcome.PROVIDER_BUSY and _CAPACITY in words:
        return Blame(Scope.MODEL, model_class(model))
    named = ""
    if _has(words, _BILLING):
        named = OF_THE_ACCOUNT[0]
    elif _has(words, _NETWORK):
        named = "server_error"
    return whom(outcome, named=named, status=status_in(words), words=message)


def status_in(words: str) -> int | None:
    found = STATUS.search(words)
    return int(found[1]) if found else None


def _has(words: str, signs: tuple[str, ...]) -> bool:
    return any(sign in words for sign in signs)
