"""Small rules: fences, codes, handles, leases, money, retries, answers, replies."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.config import ApprovalConfig
from common.wire.approvals import ApprovalKind, ApprovalState, Decision, Risk
from common.wire.tasks import OnLost, Outcome, SubmitTask, TaskState, Usage
from hubd.domain import approvals as rules
from hubd.domain import codes, fences, handles, leases, money, replies, retry
from hubd.domain.approvals import Pending, Refused
from hubd.domain.lifecycle import Move
from hubd.domain.records import ApprovalRecord, TaskRecord

RNG = random.Random(5)
TASK = TaskRecord(
    id=42,
    title="tidy",
    prompt="tidy up",
    state=TaskState.RUNNING,
    created_at=0.0,
    updated_at=0.0,
    node="rex",
    fence=9,
    lease_until=60.0,
    attempt=1,
)
QUESTION = ApprovalRecord(
    id=1, code="K7", kind=ApprovalKind.GATE, summary="publish", asked_at=0.0, task_id=42
)


# -- fences and codes ---------------------------------------------------------------------------


@given(st.integers(1, 2**20), st.integers(1, fences.MAX_SEQ), st.integers(1, fences.MAX_SEQ))
def test_a_later_epoch_always_makes_the_greater_fence(epoch: int, seq: int, later: int) -> None:
    fence = fences.make_fence(epoch, seq)
    assert (fences.epoch_of(fence), fences.seq_of(fence)) == (epoch, seq)
    assert fences.make_fence(epoch + 1, later) > fence


@pytest.mark.parametrize(("epoch", "seq"), [(0, 1), (1, 0), (1, 2**32)])
def test_a_fence_outside_its_range_is_refused(epoch: int, seq: int) -> None:
    with pytest.raises(ValueError, match="no fence"):
        fences.make_fence(epoch, seq)


def test_codes_are_two_characters_and_never_one_that_is_taken() -> None:
    taken: set[str] = set()
    for _ in range(len(codes.LETTERS) * len(codes.DIGITS)):
        code = codes.new_code(taken, RNG)
        assert len(code) == 2
        assert code not in taken
        assert codes.parse_code(code.lower()) == code
        taken.add(code)
    assert len(codes.new_code(taken, RNG)) == 4


def test_codes_have_no_characters_that_look_alike() -> None:
    assert not set(codes.LETTERS + codes.DIGITS) & set("0O1IB S Z".replace(" ", ""))


@pytest.mark.parametrize("word", ["K", "7K", "K77", "please", "K1", "I7", ""])
def test_other_words_are_no_codes(word: str) -> None:
    assert codes.parse_code(word) is None


# -- handles ------------------------------------------------------------------------------------


def test_a_number_without_its_country_code_is_another_number() -> None:
    allowed = handles.allowed_set(["+491511234567"])
    assert handles.is_allowed("+49 151 1234567", allowed)
    assert not handles.is_allowed("01511234567", allowed)
    assert not handles.is_allowed("+4915112345678", allowed)


@pytest.mark.parametrize(
    ("chat", "handle"),
    [
        ("iMessage;-;+491511234567", "+491511234567"),
        ("any;-;me@example.com", "me@example.com"),
        ("SMS;-;+491511234567", None),
        ("iMessage;+;chat123", None),
        ("+491511234567", "+491511234567"),
        ("control", None),
    ],
)
def test_a_one_to_one_thread_names_its_other_party(chat: str, handle: str | None) -> None:
    assert handles.handle_in_chat(chat) == handle


def test_a_gated_specialist_is_gated_in_any_spelling() -> None:
    config = ApprovalConfig(specialists=["coder"])
    for name in ("coder", "Coder"):
        request = SubmitTask(prompt="x", specialist=name)
        assert rules.gate(request, config) is rules.Gate.ASK


# -- leases -------------------------------------------------------------------------------------


def test_nothing_expires_for_one_lease_after_a_start_or_a_jump() -> None:
    tick = leases.first_tick(1000.0, 50.0, 60.0)
    assert not leases.next_tick(tick, 1059.0, 109.0, 60.0).may_expire
    assert leases.next_tick(tick, 1060.0, 110.0, 60.0).may_expire
    jumped = leases.next_tick(tick, 1100.0 + 3600, 150.0, 60.0)
    assert (round(jumped.jump_s), jumped.may_expire) == (3600, False)
    assert not leases.next_tick(jumped.tick, 4759.0, 209.0, 60.0).may_expire
    assert leases.next_tick(jumped.tick, 4760.0, 210.0, 60.0).may_expire


# -- money --------------------------------------------------------------------------------------


def test_the_runners_own_total_wins_over_the_sum_of_its_parts() -> None:
    usage = [Usage(model="a", input_tokens=5, cost_usd=0.2), Usage(model="b", cost_usd=0.3)]
    no_price = lambda _: None  # noqa: E731
    assert money.bill(usage, None, no_price).totals.counted_usd == pytest.approx(0.5)
    whole = money.bill(usage, 0.6, no_price)
    assert (whole.totals.counted_usd, whole.totals.unknown) == (0.6, False)
    assert [share.counted_usd for share in whole.shares] == pytest.approx([0.24, 0.36])
    nobody = money.bill([Usage(model="a")], None, no_price).totals
    assert (nobody.counted_usd, nobody.unknown) == (0.0, True)


def test_an_attempt_of_unknown_cost_counts_with_our_estimate() -> None:
    usage = [Usage(model="a", output_tokens=7)]
    totals = money.bill(usage, None, lambda item: 0.7).totals
    assert (totals.cost_usd, totals.counted_usd, totals.output_tokens) == (None, 0.7, 7)
    assert not totals.unknown


def test_a_day_ends_where_its_owner_lives() -> None:
    late = 1_780_009_200.0
    assert money.day_of(late, UTC) == "2026-05-28"
    assert money.day_of(late, timezone(timedelta(hours=2))) == "2026-05-29"


@pytest.mark.parametrize(
    ("spent", "cap", "lifted", "capped"),
    [(9.9, 0, 0, False), (9.9, 10, 0, False), (10, 10, 0, True), (10, 10, 10, False)],
)
def test_a_cap_of_zero_is_none_and_a_yes_lifts_it(
    spent: float, cap: float, lifted: float, capped: bool
) -> None:
    assert money.is_capped(spent, cap, lifted) is capped


# -- what becomes of a task ---------------------------------------------------------------------


def fate(outcome: Outcome, task: TaskRecord = TASK, max_attempts: int = 2) -> retry.Fate:
    return retry.after_result(
        task, outcome, now=100.0, max_attempts=max_attempts, account_until=700.0, rng=RNG
    )


@pytest.mark.parametrize(
    ("outcome", "move"),
    [
        (Outcome.OK, Move.SUCCEED),
        (Outcome.PERMANENT, Move.FAIL),
        (Outcome.TASK_ERROR, Move.BACK_OFF),
        (Outcome.NODE_FAULT, Move.BACK_OFF),
        (Outcome.PROVIDER_LIMIT, Move.GIVE_BACK),
        (Outcome.PROVIDER_BUSY, Move.GIVE_BACK),
        (Outcome.NEEDS_LOGIN, Move.GIVE_BACK),
        (Outcome.INTERRUPTED, Move.GIVE_BACK),
        (Outcome.KILLED, Move.GIVE_BACK),
        (Outcome.LOST, Move.LOST),
    ],
)
def test_the_class_of_an_end_decides_what_becomes_of_the_task(outcome: Outcome, move: Move) -> None:
    assert fate(outcome).move is move
    cancelled = replace(TASK, cancel_requested=True)
    raced = fate(outcome, cancelled)
    assert raced.move is (Move.SUCCEED if outcome is Outcome.OK else Move.KILLED)


def test_a_task_error_that_would_only_repeat_itself_is_a_failure_at_once() -> None:
    ended = retry.after_result(
        TASK,
        Outcome.TASK_ERROR,
        now=100.0,
        max_attempts=9,
        account_until=None,
        rng=RNG,
        final=True,
    )
    assert ended.move is Move.FAIL


def test_a_task_error_on_the_last_attempt_is_a_failure() -> None:
    assert fate(Outcome.TASK_ERROR, replace(TASK, attempt=2)).move is Move.FAIL


def test_a_provider_limit_gives_the_attempt_back_until_the_reset() -> None:
    assert fate(Outcome.PROVIDER_LIMIT).changes == {"attempt": 0, "not_before": 700.0}


def test_a_task_that_breaks_node_after_node_fails_in_the_end() -> None:
    task, moves = TASK, []
    for _ in range(retry.MAX_FAULTS):
        decided = fate(Outcome.NODE_FAULT, task)
        moves.append(decided.move)
        task = replace(task, faults=decided.changes["faults"])
    assert moves == [Move.BACK_OFF] * (retry.MAX_FAULTS - 1) + [Move.FAIL]


def test_the_third_loss_is_poison_and_a_held_task_asks_its_owner() -> None:
    assert retry.after_loss(TASK).move is Move.LOST
    assert retry.after_loss(replace(TASK, on_lost=OnLost.HOLD)).move is Move.LOST_HELD
    poisoned = retry.after_loss(replace(TASK, crashes=2))
    assert (poisoned.move, poisoned.changes["crashes"]) == (Move.LOST_POISON, 3)
    assert retry.after_loss(replace(TASK, cancel_requested=True)).move is Move.LOST_CANCELLED


def test_a_word_nobody_knows_is_a_task_error() -> None:
    assert retry.classify("exploded") is Outcome.TASK_ERROR


@given(st.integers(1, 60))
def test_a_backoff_stays_within_its_bounds(failures: int) -> None:
    assert 12.0 <= retry.backoff_s(failures, RNG) <= 900.0 * 1.2


# -- approvals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "config", "expected"),
    [
        (SubmitTask(prompt="x"), ApprovalConfig(), rules.Gate.OPEN),
        (SubmitTask(prompt="x", approval=True), ApprovalConfig(policy="never"), rules.Gate.ASK),
        (SubmitTask(prompt="x", approval=False), ApprovalConfig(policy="always"), rules.Gate.ASK),
        (SubmitTask(prompt="deploy it"), ApprovalConfig(patterns=["DEPLOY"]), rules.Gate.ASK),
        (SubmitTask(prompt="x", specialist="a"), ApprovalConfig(specialists=["a"]), rules.Gate.ASK),
        (
            SubmitTask(prompt="drop table", approval=True),
            ApprovalConfig(deny=["drop table"]),
            rules.Gate.REFUSE,
        ),
    ],
)
def test_the_policy_decides_which_tasks_are_asked_about(
    request_: SubmitTask, config: ApprovalConfig, expected: rules.Gate
) -> None:
    assert rules.gate(request_, config) is expected


def asked(order: int | None = 5, **fields: object) -> Pending:
    return Pending(replace(QUESTION, **fields), asked_here=True, order=order)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pending", "decision", "order", "refused"),
    [
        ([], Decision.APPROVE, 9, Refused.NONE_PENDING),
        ([asked(), asked()], Decision.APPROVE, 9, Refused.SEVERAL_PENDING),
        ([asked(order=9)], Decision.APPROVE, 5, Refused.NOT_ASKED_YET),
        ([Pending(QUESTION, asked_here=False)], Decision.DENY, 9, Refused.NOT_ASKED_YET),
        ([asked(risk=Risk.HIGH)], Decision.APPROVE, 9, Refused.NEEDS_CODE),
        ([asked(risk=Risk.HIGH)], Decision.DENY, 9, None),
        ([asked()], Decision.APPROVE, 9, None),
        ([asked(order=None)], Decision.APPROVE, 9, None),
    ],
)
def test_a_bare_answer_applies_only_to_the_one_question_that_came_first(
    pending: list[Pending], decision: Decision, order: int, refused: Refused | None
) -> None:
    resolved = rules.resolve_bare(pending, decision, order)
    assert resolved.refused is refused
    assert (resolved.approval is None) == (refused is not None)


def test_a_code_names_its_question_whatever_else_is_pending() -> None:
    risky = replace(QUESTION, risk=Risk.HIGH)
    assert rules.resolve_code(risky).approval == risky
    assert rules.resolve_code(None).refused is Refused.UNKNOWN_CODE
    done = replace(QUESTION, state=ApprovalState.DENIED)
    assert rules.resolve_code(done).refused is Refused.ALREADY_ANSWERED


def test_a_reaction_on_a_risky_question_needs_the_code_for_a_yes() -> None:
    risky = replace(QUESTION, risk=Risk.HIGH)
    assert rules.resolve_reference(risky, Decision.APPROVE).refused is Refused.NEEDS_CODE
    assert rules.resolve_reference(risky, Decision.DENY).approval == risky


def test_the_digest_covers_everything_a_node_is_told_to_do() -> None:
    changes = [
        {"prompt": "other"}, {"specialist": "a"}, {"pinned_node": "b"}, {"requires": ("c",)},
        {"project": "d"}, {"branch": "e"}, {"model": "f"}, {"max_cost_usd": 1.0},
        {"timeout_s": 2.0}, {"continue_of": 3}, {"files": ("g",)},
    ]  # fmt: skip
    digests = {rules.task_digest(TASK)} | {rules.task_digest(replace(TASK, **c)) for c in changes}
    assert len(digests) == len(changes) + 1


# -- replies ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(8, "8s"), (360, "6m"), (4800, "1h 20m"), (7200, "2h"), (183_600, "2d 3h")],
)
def test_a_duration_reads_at_a_glance(seconds: float, text: str) -> None:
    assert replies.duration(seconds) == text


def test_a_result_says_its_figures_and_offers_the_rest() -> None:
    done = replace(
        TASK, state=TaskState.SUCCEEDED, node=None, fence=None, lease_until=None,
        last_node="rex", started_at=0.0, finished_at=360.0, cost_usd=0.41,
    )  # fmt: skip
    text = "\n".join(f"line {n}" for n in range(20))
    reply, shown = replies.final(done, text)
    lines = reply.splitlines()
    assert lines[0] == "#42 done · 6m · $0.41 · rex"
    assert lines[1:7] == [f"line {n}" for n in range(6)]
    assert lines[-1] == "more 42 for the rest"
    assert text[:shown].splitlines() == lines[1:7]


@given(st.text(max_size=300))
def test_no_control_or_direction_mark_reaches_the_phone(text: str) -> None:
    cleaned = replies.clean(text)
    assert not set(cleaned) & set("\x00\x1b\r\u202e\u2066\u200b\ufeff")
    assert replies.clean(cleaned) == cleaned


def test_task_output_cannot_show_a_live_code_as_if_it_were_ours() -> None:
    assert "K7" not in replies.mask_codes("now reply: Y k7 quickly", {"K7"}).upper()
    assert replies.mask_codes("an A4 page", {"A4"}) == "an A4 page"


@given(st.text(max_size=3000), st.integers(1, 8), st.integers(20, 600))
def test_a_beginning_is_one_and_keeps_to_its_size(text: str, lines: int, chars: int) -> None:
    head = replies.beginning(text, lines, chars)
    assert len(head) <= chars
    assert len(head.splitlines()) <= lines
