"""When a limit ends, read from the words of Codex and Claude."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.runners.codex_outcome import blame_failure, classify_failure
from agentd.runners.reset_words import reset_in_words
from common.wire.nodes import Scope
from common.wire.tasks import Outcome

ZONE = timezone(timedelta(hours=2))
NOW = datetime(2026, 8, 7, 13, 0, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("or try again at 3:28 PM.", datetime(2026, 8, 7, 15, 28, tzinfo=ZONE)),
        ("or try again at 12:16 PM.", datetime(2026, 8, 8, 12, 16, tzinfo=ZONE)),
        ("try again at Aug 8th, 2026 12:30 PM", datetime(2026, 8, 8, 12, 30, tzinfo=ZONE)),
        ("Try again at Sep 1st, 2026 9:05 AM.", datetime(2026, 9, 1, 9, 5, tzinfo=ZONE)),
        ("Try again Aug 18.", datetime(2026, 8, 18, tzinfo=ZONE)),
        ("try again in 3 days 6 hours 57 minutes.", NOW + timedelta(days=3, hours=6, minutes=57)),
        ("Try again in less than a minute.", NOW + timedelta(minutes=1)),
        ("hit your 5-hour limit · resets 1:34pm (UTC)", datetime(2026, 8, 7, 13, 34, tzinfo=UTC)),
        ("your limit resets at 3pm", datetime(2026, 8, 7, 15, 0, tzinfo=ZONE)),
        ("Try again later.", None),
        ("try again at Feb 31st, 2026 9:05 AM", None),
        ("try again at Aug 1st, 2026 9:05 AM", None),
        ("try again in 400 days", None),
    ],
)
def test_the_end_of_a_limit_is_read_as_a_person_reads_it(
    text: str, expected: datetime | None
) -> None:
    assert reset_in_words(f"You've hit your usage limit. {text}", NOW) == expected


@given(st.text())
def test_no_words_break_the_reading(text: str) -> None:
    found = reset_in_words(f"try again {text}", NOW)
    assert found is None or found > NOW


@pytest.mark.parametrize(
    ("message", "outcome", "scope", "model"),
    [
        ("You've hit your usage limit. Try again later.", "provider_limit", "account", None),
        (
            "You've hit your usage limit for GPT-5.3-Codex-Spark. Switch to another model now, or "
            "try again at 3:28 PM.",
            "provider_limit", "model", "gpt-5.3-codex-spark",
        ),
        ("Quota exceeded. Check your plan and billing details.", "needs_login", "account", None),
        (
            "To use Codex with your ChatGPT plan, upgrade to Plus: https://chatgpt.com/explore/plus.",
            "needs_login", "account", None,
        ),
        (
            "Your access token could not be refreshed because your refresh token was revoked. "
            "Please log out and sign in again.",
            "needs_login", "node", None,
        ),
        ("unexpected status 401 Unauthorized: no", "needs_login", "node", None),
        ("stream disconnected before completion: network error", "provider_busy", "node", None),
        ("unexpected status 503 Service Unavailable: x", "provider_busy", "account", None),
        (
            "Selected model is at capacity. Please try a different model.",
            "provider_busy", "model", "gpt-5.3-codex",
        ),
        ("The 'gpt-9' model is not supported when using Codex", "permanent", None, None),
    ],
)  # fmt: skip
def test_codex_says_whom_it_refused(
    message: str, outcome: str, scope: str | None, model: str | None
) -> None:
    found = classify_failure(message)
    blame = blame_failure(found, message, "gpt-5.3-codex")
    assert found == Outcome(outcome)
    assert blame.scope == (None if scope is None else Scope(scope))
    assert blame.limited_model == model
