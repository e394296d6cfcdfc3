"""Pages and lines of the other screens: tail, transcript, costs, thread, why, header."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest

from common.wire.admin import CostRow, Costs, Hold, Spend
from common.wire.approvals import Approval, ApprovalState, Risk
from common.wire.events import Entity
from common.wire.facts import NodeFacts, ProjectFacts
from common.wire.messages import Message, MessageState
from common.wire.nodes import Breaker, BreakerState, OutputKind, OutputLine
from common.wire.tasks import Attempt, NodeVerdict, TaskDetail, TaskState, Usage, Why
from tests.unit.tui.records import AT, NOW, approval, event, loaded, node, task
from tui.errors import TuiError
from tui.state.approval_page import approval_page, ordered
from tui.state.cells import Cell, text_of
from tui.state.confirmations import cancel, risky
from tui.state.costs import (
    Period,
    Rate,
    bar,
    cost_row,
    day_chart,
    day_series,
    summary,
)
from tui.state.drafts import ASK_FIRST, Draft
from tui.state.event_filter import passes
from tui.state.header import banner, header
from tui.state.link import Link, LinkState, link_cell
from tui.state.node_page import node_page
from tui.state.orders import OrderLog
from tui.state.preview import preview
from tui.state.store import Ref
from tui.state.task_page import task_page
from tui.state.thread import chat_name, chats, thread
from tui.state.transcript import Transcript, blocks_of
from tui.state.verdicts import why_lines
from tui.state.welcome import welcome


def said(lines: list[Cell]) -> str:
    return "\n".join(text_of(line) for line in lines)


# -- tail ----------------------------------------------------------------------------------


def tail_text(store_event: tuple[Entity, str, object], **more: object) -> str:
    store = loaded(**more)
    store.take(event(1, *store_event), NOW)
    line = store.tail[-1]
    return f"{line.glyph} {line.subject} {line.text}"


def test_an_event_is_told_in_words() -> None:
    failed = task(7, TaskState.FAILED, node="Rex", error="exit 1")
    open_ = node("Rex", breaker=Breaker(state=BreakerState.OPEN, reason="exit 127"))
    answered = approval(1, ApprovalState.APPROVED, answered_by="ada", answered_via="imessage")
    assert tail_text((Entity.TASK, "7", failed)) == "✗ #7 failed on Rex: exit 1 · task 7"
    assert tail_text((Entity.NODE, "Rex", open_)) == "▪ Rex changed"
    assert tail_text((Entity.APPROVAL, "1", answered)) == "✓ K1 #1 approved by ada (imessage)"
    assert tail_text((Entity.HOLD, "hold", Hold(on=True, by="ada"))) == "‖ hold on by ada"
    assert tail_text((Entity.SPEND, "d", Spend(day="d", cost_usd=2.5))) == "$ cost $2.50 today"
    assert tail_text((Entity.TASK, "7", None)) == "· #7 forgotten"
    assert tail_text((Entity.AUDIT, "token", None)) == "▪ token changed"


def test_events_are_chosen_by_kind_severity_and_words() -> None:
    store = loaded()
    failed = task(7, TaskState.FAILED, node="Rex", error="exit 1")
    store.take(event(1, Entity.TASK, "7", failed), NOW)
    (line,) = store.tail
    assert all(passes(line, text) for text in ("", "kind:task", "bad", "warn", "#7 EXIT", "type:t"))
    assert not any(passes(line, text) for text in ("kind:node", "archon", "bad archon"))


# -- transcript ----------------------------------------------------------------------------


def line(n: int, kind: OutputKind, text: str, **more: object) -> OutputLine:
    fields: dict[str, object] = {"fence": 1, "at": AT + timedelta(seconds=n)}
    return OutputLine(n=n, kind=kind, text=text, **(fields | more))  # type: ignore[arg-type]


def transcript(*lines: OutputLine) -> Transcript:
    folded = Transcript()
    for each in lines:
        folded.add(each)
    return folded


def shown(folded: Transcript, result: str | None = None) -> str:
    return said([cell for block in blocks_of(folded, result) for cell in block.cells])


def test_crumbs_of_text_become_one_paragraph() -> None:
    folded = transcript(line(0, OutputKind.TEXT, "Two "), line(1, OutputKind.TEXT, "tests\nfail."))
    assert shown(folded) == "Two tests\nfail."


def test_a_tool_call_is_one_line_until_it_is_unfolded() -> None:
    folded = transcript(
        line(0, OutputKind.TOOL_START, "pytest -q", tool="Bash", tool_id="a"),
        line(4, OutputKind.TOOL_END, "2 failed\n56 passed", tool_id="a", is_error=True),
    )
    assert shown(folded) == "▸ Bash  pytest -q  ✗ failed 4s"
    assert folded.toggle(folded.parts[0].id)
    assert shown(folded) == "▾ Bash  pytest -q  ✗ failed 4s\n  │ 2 failed\n  │ 56 passed"
    folded.toggle_all()
    folded.toggle_all()
    assert shown(folded).startswith("▸ Bash")


def test_ends_find_their_own_beginning_when_calls_run_side_by_side() -> None:
    folded = transcript(
        line(0, OutputKind.TOOL_START, "a", tool="Read", tool_id="a"),
        line(1, OutputKind.TOOL_START, "b", tool="Read", tool_id="b"),
        line(2, OutputKind.TOOL_END, "of a", tool_id="a"),
    )
    assert [part.result for part in folded.parts] == ["of a", None]


def test_an_end_without_a_beginning_is_still_shown() -> None:
    assert "orphan" in shown(transcript(line(0, OutputKind.TOOL_END, "x", tool="orphan")))


def test_another_attempt_is_announced_and_the_result_stands_last() -> None:
    folded = transcript(line(0, OutputKind.TEXT, "one"), line(0, OutputKind.TEXT, "two", fence=2))
    assert shown(folded, "Done.") == (
        "one\n\n── another attempt, fence 2 ──\ntwo\n\n── result ──\nDone."
    )


def test_a_long_transcript_lets_its_beginning_go_and_says_so() -> None:
    folded = transcript(*(line(n, OutputKind.STATUS, str(n)) for n in range(1600)))
    assert len(folded.parts) == 1500
    assert shown(folded).startswith("… 100 earlier parts not kept here\n· 100\n")


# -- task, approval, node pages --------------------------------------------------------------


def test_a_tasks_page_has_attempts_tokens_and_cost_by_model() -> None:
    mine = task(7, TaskState.RUNNING, node="Rex", approval_code="K1", session_id="s-1")
    usage = Usage(model="m", input_tokens=1200, output_tokens=30, estimate_usd=0.5)
    attempts = [
        Attempt(fence=1, task_id=7, number=1, node="Rex", leased_at=AT, ended_at=AT,
                outcome="lost", error="went away", cost_usd=0.2, partial=True),
        Attempt(fence=2, task_id=7, number=2, node="Rex", leased_at=AT, started_at=AT),
    ]  # fmt: skip
    fields = {name: getattr(mine, name) for name in mine.__struct_fields__}
    detail = TaskDetail(**fields, attempts=attempts, usage=[usage])
    store = loaded(tasks=[mine], approvals=[approval(1, task_id=7, detail="rm -rf build")])
    text = said(task_page(store, mine, detail, NOW + 60, UTC))
    for part in ("rm -rf build", "y approves", "claude --resume s-1", "1  lost  Rex",
                 "$0.20 (partial)", "went away", "2  running  Rex", "m  $0.50 estimated",
                 "1.2k in · 30 out", "do 7"):  # fmt: skip
        assert part in text


def test_a_question_shows_letter_by_letter_what_a_yes_lets_run() -> None:
    asked = approval(1, detail="rm -rf\u202e build", risk=Risk.HIGH, digest="ab" * 32)
    store = loaded(approvals=[asked], tasks=[task(1, specialist="debugger")])
    text = said(list(approval_page(store, asked, NOW, UTC)))
    for part in ("▎ rm -rf⟨U+202E⟩ build", "! high risk", "@debugger", "abababababababab…",
                 "The first answer counts"):  # fmt: skip
        assert part in text


def test_an_answered_question_says_who_when_and_why() -> None:
    answered = approval(
        1, ApprovalState.DENIED, answered_by="ada", answered_via="tui", answered_at=AT, note="no"
    )
    text = said(list(approval_page(loaded(), answered, NOW, UTC)))
    assert "denied by ada, tui at 12:00" in text
    assert "“no”" in text


def test_pending_questions_stand_first_then_the_newest_answers() -> None:
    def answered(number: int, minutes: int) -> Approval:
        at = AT + timedelta(minutes=minutes)
        return approval(number, ApprovalState.APPROVED, answered_at=at)

    store = loaded(
        approvals=[answered(1, 1), approval(2), answered(3, 5), approval(4, risk=Risk.HIGH)]
    )
    assert ordered(store) == [4, 2, 3, 1]


SHOP = ProjectFacts(name="shop", branch="main", dirty=True)


def test_a_nodes_page_gives_the_breakers_evidence() -> None:
    breaker = Breaker(state=BreakerState.OPEN, fails=3, opens=2, reason="exit 127", changed_at=AT,
                      until=AT + timedelta(seconds=95))  # fmt: skip
    rex = node(
        "Rex",
        breaker=breaker,
        facts=NodeFacts(claude="2.1", projects=[SHOP]),
        draining=True,
        drain_note="fan",
    )
    text = said(node_page(loaded(nodes=[rex]), rex, NOW, UTC))
    for part in (
        "draining: fan",
        "in 1m 35s",
        "3 in a row",
        "exit 127",
        "claude     2.1",
        "shop@main",
        "uncommitted changes",
    ):
        assert part in text


def test_a_node_that_takes_no_work_says_why() -> None:
    rex = node("Rex", accepting=False, not_accepting_reason="less than 2048 MB free")
    store = loaded(nodes=[rex])
    assert "takes no work: less than 2048 MB free" in said(node_page(store, rex, NOW, UTC))
    assert "less than 2048 MB free" in said(preview(store, Ref("node", "Rex"), NOW))


def test_the_preview_tells_about_whatever_is_selected() -> None:
    store = loaded(tasks=[task(1)], nodes=[node("Rex")], approvals=[approval(2)])
    assert "#1" in said(preview(store, Ref("task", "1"), NOW))
    assert "Rex" in said(preview(store, Ref("node", "Rex"), NOW))
    assert "K2" in said(preview(store, Ref("approval", "2"), NOW))
    assert preview(store, Ref("task", "99"), NOW) == preview(store, None, NOW) == []


# -- costs ----------------------------------------------------------------------------------


def test_the_rate_needs_five_minutes_and_then_tells_when_the_cap_is_reached() -> None:
    store = loaded(spend=Spend(day="2026-05-04", cost_usd=10.0, cap_usd=20.0))
    store.take(event(1, Entity.SPEND, "d", Spend(day="d", cost_usd=11.0, cap_usd=20.0), 120), NOW)
    assert Rate.of(store) == Rate(None)
    store.take(event(2, Entity.SPEND, "d", Spend(day="d", cost_usd=13.0, cap_usd=20.0), 1800), NOW)
    assert Rate.of(store) == Rate(6.0)
    text = said(summary(store, NOW + 1800, UTC))
    assert "$6.00/h · $82.00 by midnight at that rate · cap in 1h 10m" in text


def test_a_day_without_spending_is_a_day_in_the_chart() -> None:
    costs = Costs(by="day", rows=[CostRow(key="2026-05-02", cost_usd=4.0)], total=CostRow(key="t"))
    days = day_series(costs, Period.WEEK, "2026-05-04")
    assert [row.key for row in days][:2] == ["2026-04-28", "2026-04-29"]
    assert [row.cost_usd for row in days] == [0, 0, 0, 0, 4.0, 0, 0]
    lines = [text_of(each) for each in day_chart(days, None, 60, 4)]
    assert len(lines) == 5
    assert lines[0].startswith(" $4.00 ")
    assert sum("█" in each for each in lines) == 4


def test_bars_have_eighths_and_are_never_empty_for_something() -> None:
    assert [bar(share, 4) for share in (0.0, 0.001, 0.5, 0.53, 1.0)] == [
        "", "▏", "██", "██▏", "████",
    ]  # fmt: skip


def test_costs_that_nobody_knows_are_marked() -> None:
    row = cost_row(CostRow(key="x", cost_usd=1.0, unknown_cost_attempts=2), 1.0, name="")
    assert (text_of(row[0]), text_of(row[1])) == ("none", "≥$1.00")
    row = cost_row(CostRow(key="x", cost_usd=None, unknown_cost_attempts=2), 1.0, name="")
    assert text_of(row[1]) == "?"
    store = loaded(spend=Spend(day="2026-05-04", running_usd=2.0, unknown_cost_attempts=1))
    assert "today  ?  no cap is set · $2.00 running · 1 run of unknown cost" in said(
        summary(store, NOW, UTC)
    )


# -- thread, why, header, link -----------------------------------------------------------------


def test_a_thread_shows_each_text_with_its_delivery() -> None:
    texts = [
        Message(id="in-1", direction="in", chat="iMessage;-;+1", sender="+1", text="hi\nyou", at=AT,
                state=MessageState.RECEIVED),
        Message(id="out-2", direction="out", chat="iMessage;-;+1", text="#1 queued", at=AT,
                state=MessageState.FAILED, error="not delivered", maybe_duplicate=True),
        Message(id="in-3", direction="in", chat="b", text="x", at=AT - timedelta(days=2),
                state=MessageState.RECEIVED),
    ]  # fmt: skip
    store = loaded(messages=texts)
    assert chats(store) == ["b", "iMessage;-;+1"]
    assert chat_name("iMessage;-;+1") == "+1"
    text = said([c for block in thread(store, "iMessage;-;+1", NOW, UTC) for c in block.cells])
    assert text == (
        "▎ +1  12:00  ✓ received\n▎ hi\n▎ you\n\n"
        "▎ mesh  12:00  ✗ failed  perhaps twice\n▎ #1 queued\n▎ not delivered\n"
    )


def test_why_gives_one_verdict_a_node_and_the_best() -> None:
    why = Why(task_id=1, state=TaskState.QUEUED, reason="no free slot", place=2,
              would_run_on="Rex", nodes=[
                  NodeVerdict(node="Archon", eligible=False, reason="is full",
                              until=AT + timedelta(seconds=40)),
                  NodeVerdict(node="Rex", eligible=True, reason="1 of 2 slots free"),
              ])  # fmt: skip
    assert said(why_lines(why, NOW)) == (
        "○ queued  no free slot\nplace 2 in the queue\n\n"
        "✗ Archon  is full, for 40s more\n✓ Rex     1 of 2 slots free  ← would run here"
    )


def test_the_header_counts_and_never_calls_a_lost_link_live() -> None:
    tripped = node("Rex", breaker=Breaker(state=BreakerState.OPEN))
    store = loaded(
        tasks=[task(1, TaskState.RUNNING), task(2)], approvals=[approval(1)], nodes=[tripped],
        spend=Spend(day="d", cost_usd=16.5, cap_usd=20.0),
    )  # fmt: skip
    left, right = header(store, NOW + 2, UTC)
    text = " | ".join(text_of(each) for each in (*left, *right))
    assert text == (
        "● live 2s | ● 1 running  ○ 1 queued  ? 2 for you | ✗ 1 open | $16.50/$20.00 | 12:00"
    )
    store.link_lost("no answer", 3.0, NOW + 2)
    assert "live" not in text_of(header(store, NOW + 3, UTC)[0][0])
    assert text_of(banner(store, NOW + 3, UTC) or ()) == " NOT LIVE   no answer"


def test_hold_is_a_banner_with_who_and_why() -> None:
    store = loaded(hold=Hold(on=True, by="ada", reason="lunch", at=AT))
    assert text_of(banner(store, NOW, UTC) or ()) == (
        " HOLD   nothing new starts since 12:00 by ada: lunch. Running work goes on."
    )


@pytest.mark.parametrize(
    ("link", "text"),
    [
        (Link(LinkState.CONNECTING), "◌ connecting"),
        (Link(LinkState.LIVE), "● live 5s"),
        (Link(LinkState.CHECKING), "◌ checking 5s old"),
        (Link(LinkState.REFUSED), "✗ refused 5s old"),
        (Link(LinkState.LOST, NOW - 3, "", NOW + 2), "◌ reconnecting 5s old · next try 2s"),
        (Link(LinkState.LOST, NOW - 60, "", NOW), "✗ stale 5s old · trying now"),
    ],
)
def test_every_state_of_the_link_has_its_words(link: Link, text: str) -> None:
    assert text_of(link_cell(link, NOW - 5, NOW)) == text


def test_the_order_line_prefers_what_is_pending_and_forgets_after_a_while() -> None:
    log = OrderLog()
    first, second = (log.begin(Ref("task", str(n)), f"cancelling #{n}", NOW) for n in (1, 2))
    assert text_of(log.line(NOW) or ()) == "◌ pending  cancelling #2 (and 1 more)"
    assert log.pending(Ref("task", "1"))
    log.end(first, "#1 cancelled", NOW + 1, ok=True)
    log.end(second, "refused: no", NOW + 2, ok=False)
    assert text_of(log.line(NOW + 3) or ()) == "✗ failed  refused: no"
    assert log.line(NOW + 60) is None


def test_what_to_type_depends_on_what_is_missing() -> None:
    lost = Link(LinkState.LOST, NOW, "no answer", NOW + 3)
    away = said(welcome(lost, "http://h", False, NOW))
    assert "Nothing answers at http://h" in away
    assert "mesh up" in away
    assert "in 3 seconds" in away
    new = said(welcome(Link(LinkState.REFUSED, NOW, "no token"), "http://h", True, NOW))
    assert "mesh init --yes" in new
    refused = said(welcome(Link(LinkState.REFUSED, NOW, "unknown token"), "http://h", False, NOW))
    assert "mesh token new --role operator" in refused


# -- what is asked back ------------------------------------------------------------------------


def test_cancelling_says_what_will_be_stopped_and_what_it_cost() -> None:
    running = task(1, TaskState.RUNNING, node="Rex", cost_usd=0.4, started_at=AT)
    asking = cancel([running, *(task(n) for n in range(2, 15))], NOW + 60)
    assert asking.title == "Cancel 14 tasks?"
    assert asking.lines[0] == "#1 running on Rex for 1m  task 1"
    assert "… and 6 more" in asking.lines
    assert "1 running task will be stopped with every process of it; $0.40" in asking.lines[-1]


def test_a_risky_yes_shows_exactly_what_runs() -> None:
    asking = risky(approval(1, detail="a\tb\x1b[2J", risk=Risk.HIGH))
    assert asking.exact == ("a⇥ b⟨U+001B⟩[2J",)


def test_a_draft_becomes_the_request_its_fields_say() -> None:
    draft = Draft(" do it ", specialist="researcher", project="shop@main", approval=ASK_FIRST,
                  cap_usd="2,5", priority="high")  # fmt: skip
    body = draft.request()
    assert (body.prompt, body.specialist, body.project, body.branch) == (
        "do it", "researcher", "shop", "main",
    )  # fmt: skip
    assert (body.approval, body.max_cost_usd, body.priority) == (True, 2.5, "high")


@pytest.mark.parametrize(
    "draft", [Draft(""), Draft("x", cap_usd="much"), Draft("x", cap_usd="0"), Draft("x" * 200_001)]
)
def test_a_draft_that_cannot_be_is_refused_with_a_sentence(draft: Draft) -> None:
    with pytest.raises(TuiError):
        draft.request()
