"""Whom a provider's refusal concerns: a machine, a class of models, or the account."""

from __future__ import annotations

import pytest

from agentd.models import model_facts
from agentd.runners.blame import Blame, limited_model, whom
from agentd.runners.claude_outcome import classify
from agentd.runners.claude_stream import Fold
from agentd.runners.command import CommandFold
from agentd.runners.exits import Exit
from agentd.specialists import load_bench
from common.config import AgentConfig
from common.wire.nodes import Scope
from common.wire.tasks import Outcome

LIMIT, BUSY, LOGIN = Outcome.PROVIDER_LIMIT, Outcome.PROVIDER_BUSY, Outcome.NEEDS_LOGIN


@pytest.mark.parametrize(
    ("limit_type", "words", "expected"),
    [
        ("seven_day_opus", "You've hit your limit", "opus"),
        ("seven_day_sonnet", "You've hit your limit", "sonnet"),
        ("five_hour", "You've hit your 5-hour limit, Opus included", None),
        ("seven_day", "You've hit your weekly limit", None),
        ("overage", "You're out of extra usage", None),
        ("seven_day_oauth_apps", "You've hit your limit", None),
        ("lunar_month", "You've hit your limit", None),
        (17, "You've hit your limit", None),
        (None, "You've hit your Opus limit · resets Friday", "opus"),
        (None, "Opus is experiencing high load, please use /model to switch to Sonnet", "opus"),
        (None, "rate limit of 30,000 input tokens per minute (model: claude-haiku-4-5)", "haiku"),
        (None, "You've hit your usage limit for GPT-5-Codex-Spark. Switch", "gpt-5-codex-spark"),
        (None, "You've hit your usage limit.", None),
        (None, "Repeated 529 Overloaded errors", None),
    ],
)
def test_a_limit_is_about_one_class_of_models_only_where_the_provider_says_so(
    limit_type: object, words: str, expected: str | None
) -> None:
    assert limited_model(limit_type, words) == expected


@pytest.mark.parametrize(
    ("outcome", "named", "status", "words", "expected"),
    [
        (LOGIN, "authentication_failed", 401, "/login", Blame(Scope.NODE)),
        (LOGIN, "", 403, "", Blame(Scope.NODE)),
        (LOGIN, "billing_error", 400, "Credit balance is too low", Blame(Scope.ACCOUNT)),
        (LOGIN, "oauth_org_not_allowed", 403, "", Blame(Scope.ACCOUNT)),
        (BUSY, "server_error", None, "Connection error.", Blame(Scope.NODE)),
        (BUSY, "server_error", 529, "Repeated 529 Overloaded errors", Blame(Scope.ACCOUNT)),
        (BUSY, "overloaded", None, "Opus is experiencing high load", Blame(Scope.MODEL, "opus")),
        (LIMIT, "rate_limit", 429, "limit reached", Blame(Scope.ACCOUNT)),
        (Outcome.PERMANENT, "model_not_found", 404, "opus", Blame()),
    ],
)
def test_each_refusal_has_its_reach(
    outcome: Outcome, named: str, status: int | None, words: str, expected: Blame
) -> None:
    assert whom(outcome, named=named, status=status, words=words) == expected


def test_a_spent_weekly_limit_of_one_model_is_said_with_the_end_of_the_run() -> None:
    """`one_model_limited`."""
    fold = Fold()
    fold.take(
        {
            "type": "rate_limit_event",
            "rate_limit_info": {
                "status": "rejected", "resetsAt": 1_790_000_000, "rateLimitType": "seven_day_opus",
            },
        }
    )  # fmt: skip
    said = "You have hit your Opus limit"
    fold.take(
        {"type": "result", "subtype": "success", "is_error": True, "result": said,
         "api_error_status": 429}
    )  # fmt: skip
    ended = classify(fold, Exit(returncode=1))
    assert (ended.outcome, ended.scope, ended.limited_model) == (LIMIT, Scope.MODEL, "opus")
    assert ended.resets_at is not None


def test_a_node_tells_which_model_a_task_runs_on_that_names_none() -> None:
    bench = load_bench()
    facts = model_facts(AgentConfig(model="sonnet"), bench)
    assert facts["model"] == "sonnet"
    assert set(facts["models"]) == {n for n, s in bench.items() if s.model not in (None, "inherit")}
    assert model_facts(AgentConfig(runner="codex", model="sonnet"), bench) == {"model": ""}
    assert model_facts(AgentConfig(runner="rehearsal"), bench) == {}


def test_a_program_of_ones_own_names_the_model_a_limit_is_about() -> None:
    fold = CommandFold()
    list(fold.take(b'{"mesh": "limit", "resets_at": 1790000000, "model": "claude-opus-5-5"}'))
    ended = fold.ended(Exit(returncode=1))
    assert (ended.outcome, ended.limited_model) == (LIMIT, "opus")


@pytest.mark.parametrize(
    ("said", "status", "expected"),
    [
        ("Your account does not have access to claude-opus-5-5.", 403, Outcome.PERMANENT),
        ("You do not have access to the model opus.", 403, Outcome.PERMANENT),
        ("Your account does not have access.", 403, LOGIN),
        ("model: claude-nope", 404, Outcome.PERMANENT),
    ],
)
def test_a_model_one_may_not_use_is_the_tasks_and_no_lost_login(
    said: str, status: int, expected: Outcome
) -> None:
    fold = Fold()
    fold.take(
        {"type": "result", "subtype": "success", "is_error": True, "result": said,
         "api_error_status": status}
    )  # fmt: skip
    assert classify(fold, Exit(returncode=1)).outcome is expected


def test_a_locked_keychain_is_a_lost_login_of_this_machine() -> None:
    """`one_mac_logged_out`, said by a CLI that never came to its first line."""
    stderr = "Error: keychain cannot be read: User interaction is not allowed."
    ended = classify(Fold(), Exit(returncode=1, stderr=stderr))
    assert (ended.outcome, ended.scope) == (LOGIN, Scope.NODE)
