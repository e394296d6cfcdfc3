"""Whom a provider's refusal concerns: this machine, one class of models, or the whole account.

Pure. Structured data decides; words do where there is no other sign, and what nobody knows concerns
the whole account.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from common.model_class import FAMILIES, model_class
from common.wire.nodes import Scope
from common.wire.tasks import Outcome

OF_THE_ACCOUNT = ("billing_error", "account_on_hold", "oauth_org_not_allowed")
"""Refusals of a login that are the same on every machine."""

WHOLE_ACCOUNT_LIMITS = ("five_hour", "seven_day", "overage")

_LIMIT_OF = re.compile(r"seven_day_([a-z]+)")
_IN_WORDS = re.compile(rf"\b({'|'.join(FAMILIES)})\b", re.IGNORECASE)
_NAMED_MODEL = re.compile(r"\b(?:model:?|usage limit for)\s+[`'\"]?([A-Za-z][\w./:-]+)")


@dataclass(frozen=True, slots=True)
class Blame:
    scope: Scope | None = None
    limited_model: str | None = None


def limited_model(limit_type: object, words: str) -> str | None:
    """The class of models a limit is about; None when it concerns the whole account.

    `limit_type` is Claude's `rateLimitType`, such as `five_hour` or `seven_day_opus`.
    """
    if limit_type in WHOLE_ACCOUNT_LIMITS:
        return None
    if isinstance(limit_type, str):
        part = _LIMIT_OF.fullmatch(limit_type)
        if part is not None and part[1] in FAMILIES:
            return part[1]
    family = _IN_WORDS.search(words)
    if family is not None:
        return family[1].lower()
    named = _NAMED_MODEL.search(words)
    return model_class(named[1].rstrip(".,;:")) if named is not None else None


def whom(
    outcome: Outcome, *, named: str, status: object, words: str, limit_type: object = None
) -> Blame:
    """`named` is the provider's name of the failure, `status` its HTTP status if there was one."""
    match outcome:
        case Outcome.NEEDS_LOGIN:
            return Blame(Scope.ACCOUNT if named in OF_THE_ACCOUNT else Scope.NODE)
        case Outcome.PROVIDER_LIMIT | Outcome.PROVIDER_BUSY:
            if outcome is Outcome.PROVIDER_BUSY and named == "server_error" and status is None:
                return Blame(Scope.NODE)  # no answer at all: the network of this machine
            model = limited_model(limit_type, words)
            return Blame(Scope.MODEL, model) if model is not None else Blame(Scope.ACCOUNT)
    return Blame()
