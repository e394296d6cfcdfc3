"""*Needs you* lists what waits for a person first, and what explains a wait last."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from common.wire.admin import Spend
from common.wire.approvals import Risk
from common.wire.messages import Bridge, BridgeProblem, Message, MessageState
from common.wire.nodes import Account, AccountState, Breaker, BreakerState
from common.wire.tasks import TaskState
from tests.unit.tui.records import AT, NOW, approval, loaded, node, snapshot, task
from tui.state.cells import text_of
from tui.state.needs import need_row, needs
from tui.state.store import Store


def words(store: Store, now: float = NOW) -> list[str]:
    return [f"{need.word} {need.about}" for need in needs(store, now)]


def test_a_risky_question_comes_before_an_older_plain_one() -> None:
    old = approval(1, asked_at=AT - timedelta(hours=2))
    store = loaded(approvals=[old, approval(2, risk=Risk.HIGH), approval(3)])
    assert words(store) == ["allow K2 #2", "allow K1 #1", "allow K3 #3"]


def test_a_paused_account_is_shown_but_is_not_yours() -> None:
    paused = Account(
        name="work", state=AccountState.PAUSED, paused_until=AT + timedelta(minutes=47)
    )
    (need,) = needs(loaded(accounts=[paused]), NOW)
    assert (need.word, need.text, need.yours) == ("paused", "limit: goes on in 47m", False)


def test_a_blocked_account_is_yours_and_says_what_to_do() -> None:
    blocked = Account(name="work", state=AccountState.BLOCKED)
    (need,) = needs(loaded(accounts=[blocked]), NOW)
    assert need.yours
    assert "log in on its Mac" in need.text


def test_an_open_breaker_says_why_and_when_it_probes() -> None:
    breaker = Breaker(
        state=BreakerState.OPEN, fails=3, reason="exit 127", until=AT + timedelta(seconds=42)
    )
    (need,) = needs(loaded(nodes=[node("Rex", breaker=breaker)]), NOW)
    assert need.text == "open: exit 127, next probe in 42s"


def test_a_silent_node_is_yours_only_when_tasks_hang_on_it() -> None:
    quiet = node("Rex", last_heartbeat_at=AT - timedelta(seconds=26))
    idle = loaded(nodes=[quiet])
    holding = loaded(nodes=[quiet], tasks=[task(1, TaskState.UNKNOWN, node="Rex")])
    assert [n.yours for n in needs(idle, NOW)] == [False]
    assert [n.yours for n in needs(holding, NOW)] == [True]
    assert words(loaded(nodes=[node("Rex")]), NOW + 25) == []


def test_the_hubs_full_disk_the_cap_the_bridge_and_failed_replies_are_listed() -> None:
    store = loaded(
        hub=msgspec.structs.replace(snapshot().hub, disk_full=True),
        spend=Spend(day="2026-05-04", cost_usd=20.1, cap_usd=20.0, capped=True),
        bridge=Bridge(
            state="down", problems=[BridgeProblem(id="fda", text="no access", remedy="grant it")]
        ),
        messages=[
            Message(id="out-1", direction="out", chat="c", text="hi", at=AT,
                    state=MessageState.FAILED, task_id=5)
        ],
        tasks=[task(9, TaskState.NEEDS_ATTENTION)],
    )  # fmt: skip
    assert words(store) == [
        "disk hub", "decide #9", "cap today", "bridge down", "reply #5",
    ]  # fmt: skip


def test_a_row_says_that_an_answer_is_under_way() -> None:
    (need,) = needs(loaded(approvals=[approval(1)]), NOW)
    assert text_of(need_row(need, NOW + 65)[3]) == "1m"
    assert text_of(need_row(need, NOW, mark="asked")[3]) == "asked"
