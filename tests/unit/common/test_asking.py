"""A task that stands still for its owner reads so in every list: text, command line, screen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cli.states import word_for
from common.asking import question_of
from common.wire.approvals import Approval, ApprovalKind, ApprovalState
from common.wire.tasks import Task, TaskState
from hubd.domain import replies
from hubd.domain.records import ApprovalRecord, TaskRecord
from tui.state.cells import text_of
from tui.state.task_page import task_title
from tui.state.tasks import task_row

AT = datetime(2026, 1, 1, tzinfo=UTC)
FENCE = 7


def task(state: TaskState = TaskState.RUNNING, fence: int | None = FENCE) -> Task:
    return Task(
        id=42, title="ship it", prompt="ship it", state=state, fence=fence, node="rex",
        created_at=AT, updated_at=AT, started_at=AT,
    )  # fmt: skip


def question(fence: int | None = FENCE) -> Approval:
    return Approval(
        id=1, code="K7", kind=ApprovalKind.TOOL, state=ApprovalState.PENDING, task_id=42,
        fence=fence, summary="Bash: make deploy", asked_at=AT,
    )  # fmt: skip


@pytest.mark.parametrize("state", TaskState)
def test_only_a_running_attempt_can_wait_for_its_owner(state: TaskState) -> None:
    asks = question_of(task(state), [question()])
    assert asks == ("K7" if state is TaskState.RUNNING else None)


@pytest.mark.parametrize("fence", [None, FENCE + 1])
def test_a_question_of_another_attempt_or_before_the_run_is_not_its_own(fence: int | None) -> None:
    assert question_of(task(), [question(fence)]) is None


def test_the_command_line_says_that_it_asks() -> None:
    assert word_for(task(), [question()]) == "asks you"
    assert word_for(task(), []) == "running"


def test_the_screen_says_that_it_asks_in_list_and_title() -> None:
    asking = "".join(text_of(cell) for cell in task_row(task(), 0.0, asks=True))
    assert "? asks you" in asking
    assert "running" not in asking
    assert "asks you" in text_of(task_title(task(), asks=True))
    assert "running" in text_of(task_title(task()))


def test_a_text_says_that_it_asks_and_with_which_code() -> None:
    record = TaskRecord(
        id=42, title="ship it", prompt="ship it", state=TaskState.RUNNING, fence=FENCE, node="rex",
        created_at=0.0, updated_at=0.0, started_at=0.0,
    )  # fmt: skip
    asked = ApprovalRecord(
        id=1, code="K7", kind=ApprovalKind.TOOL, summary="Bash: make deploy", asked_at=0.0,
        task_id=42, fence=FENCE,
    )  # fmt: skip
    assert replies.task_line(record, 60.0, [asked]).startswith("#42 asks you (K7) on rex")
    assert "asks you" in replies.task_list([record], 60.0, 1, [asked])
    assert replies.task_line(replace(record, fence=8), 60.0, [asked]).startswith("#42 running")
