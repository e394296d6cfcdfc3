"""The dashboard: what it shows, and every key that does something there."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from common.client.http import HubError
from common.link import LinkLost, LinkUp
from common.wire.approvals import ApprovalState, Decision
from common.wire.events import Entity
from common.wire.nodes import Account, AccountState, Breaker, BreakerState
from common.wire.tasks import TaskState
from tests.ui.conftest import Until
from tests.ui.stage import (
    ScriptedHub,
    ago,
    approval,
    busy,
    event,
    node,
    snapshot,
    stage,
    task,
)
from tui.app import MeshApp
from tui.state.cells import text_of
from tui.state.orders import OrderState
from tui.widgets.lists import NeedList, NodeList, TaskList

WIDE = (160, 50)


async def shown(app: MeshApp, pilot: Pilot[None], until: Until) -> None:
    await until(pilot, lambda: app.store.loaded and bool(app.screen.query_one(TaskList).keys))


def asked(app: MeshApp) -> list[str]:
    return [call[0] for call in app.hub.calls.asked]  # type: ignore[attr-defined]


def order_line(app: MeshApp) -> str:
    return text_of(app.orders.line(app.clock.now()) or ())


async def test_y_approves_the_question_under_the_cursor_with_its_digest(until: Until) -> None:
    app = stage()
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        app.screen.query_one(NeedList).select(app.screen.query_one(NeedList).keys[1])
        await pilot.press("y")
        await until(pilot, lambda: "answer" in asked(app))
        name, code, body = app.hub.calls.asked[0]  # type: ignore[attr-defined]
        assert (name, code, body.decision, body.digest) == (
            "answer", "K7", Decision.APPROVE, "digest-1",
        )  # fmt: skip


async def test_a_risky_question_is_approved_only_after_its_code_was_typed(until: Until) -> None:
    app = stage()
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        await pilot.press("y")
        await pilot.press("k", "7", "enter")
        assert asked(app) == []
        await pilot.press("backspace", "backspace", "m", "3", "enter")
        await until(pilot, lambda: asked(app) == ["answer"])
        assert app.hub.calls.asked[0][1] == "M3"  # type: ignore[attr-defined]


async def test_the_answer_stays_with_its_question_when_a_riskier_one_comes(until: Until) -> None:
    hub = ScriptedHub(busy(), LinkUp())
    app = stage(hub)
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        needs = app.screen.query_one(NeedList)
        needs.select(needs.keys[1])
        newcomer = approval(3, "A2", 45, risk="high", asked_at=ago(hours=1))
        hub.put(event(101, Entity.APPROVAL, "3", newcomer))
        await until(pilot, lambda: len(app.store.pending) == 3 and needs.keys[0].key == "3")
        await pilot.press("y")
        await until(pilot, lambda: asked(app) == ["answer"])
        assert app.hub.calls.asked[0][1] == "K7"  # type: ignore[attr-defined]


async def test_n_denies_with_a_note(until: Until) -> None:
    app = stage()
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, pilot, until)
        await pilot.press("n", "n", "o", "enter")
        await until(pilot, lambda: asked(app) == ["answer"])
        body = app.hub.calls.asked[0][2]  # type: ignore[attr-defined]
        assert (body.decision, body.note) == (Decision.DENY, "no")


async def test_an_order_is_pending_until_the_hub_confirms_it(until: Until) -> None:
    app = stage()
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        app.hub.calls.gate.clear()  # type: ignore[attr-defined]
        needs = app.screen.query_one(NeedList)
        needs.select(needs.keys[1])
        await pilot.press("y")
        await until(pilot, lambda: asked(app) == ["answer"])
        assert order_line(app) == "◌ pending  approving K7"
        app.hub.calls.gate.set()  # type: ignore[attr-defined]
        await until(pilot, lambda: app.orders.kept[-1].state is OrderState.CONFIRMED)
        assert order_line(app) == "✓ confirmed  K7 approved: #41 goes on"
        assert app.store.folded.approvals[1].state is ApprovalState.PENDING  # the hub decides


async def test_a_refused_order_shows_the_hubs_own_sentence(until: Until) -> None:
    app = stage()
    refusal = HubError("Ada answered K7 at 14:02", hub_code="conflict", hub_status=409)
    app.hub.calls.answers["answer"] = refusal  # type: ignore[attr-defined]
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        needs = app.screen.query_one(NeedList)
        needs.select(needs.keys[1])
        await pilot.press("y")
        await until(pilot, lambda: app.orders.kept[-1].state is OrderState.FAILED)
        assert order_line(app) == "✗ failed  approving K7: Ada answered K7 at 14:02"


async def test_x_cancels_after_saying_what_will_be_stopped(until: Until) -> None:
    app = stage()
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        tasks = app.screen.query_one(TaskList)
        tasks.focus()
        tasks.select(44)
        await pilot.press("x")
        lines = " ".join(app.screen.asking.lines)  # type: ignore[attr-defined]
        assert "1 running task will be stopped" in lines
        assert asked(app) == []
        await pilot.press("escape")
        assert asked(app) == []
        await pilot.press("x", "y")
        await until(pilot, lambda: ("cancel", 44) in app.hub.calls.asked)  # type: ignore[attr-defined]


async def test_marked_tasks_are_cancelled_together(until: Until) -> None:
    app = stage()
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        tasks = app.screen.query_one(TaskList)
        tasks.focus()
        await pilot.press("g", "space", "space", "x", "y")
        await until(pilot, lambda: asked(app) == ["cancel", "cancel"])
        assert tasks.marked == set()


async def test_star_marks_what_the_filter_shows_and_again_nothing(until: Until) -> None:
    app = stage()
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        tasks = app.screen.query_one(TaskList)
        tasks.focus()
        await pilot.press("asterisk")
        assert len(tasks.marked) == 11
        await pilot.press("asterisk")
        assert tasks.marked == set()


async def test_r_retries_a_finished_task_with_an_idempotency_key(until: Until) -> None:
    app = stage()
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        tasks = app.screen.query_one(TaskList)
        tasks.focus()
        tasks.select(48)
        await pilot.press("r")
        await until(pilot, lambda: ("retry", 48, "key-1") in app.hub.calls.asked)  # type: ignore[attr-defined]


async def test_t_sends_a_new_task_with_what_the_fields_say(until: Until) -> None:
    app = stage()
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, pilot, until)
        await pilot.press("t")
        await until(pilot, lambda: bool(app.screen.query("#prompt")))
        app.screen.query_one("#prompt", TextArea).text = "read [/foo] and [bold]"
        app.screen.query_one("#cap", Input).value = "$2,50"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: asked(app) == ["submit"])
        _, body, key = app.hub.calls.asked[0]  # type: ignore[attr-defined]
        assert (body.prompt, body.max_cost_usd, body.approval, key) == (
            "read [/foo] and [bold]", 2.5, None, "key-1",
        )  # fmt: skip


async def test_what_was_written_comes_back_until_the_hub_has_it(until: Until) -> None:
    app = stage()
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        await pilot.press("t", *"mend", "escape", "t")
        await until(pilot, lambda: bool(app.screen.query("#prompt")))
        assert app.screen.query_one("#prompt", TextArea).text == "mend"
        answers = app.hub.calls.answers  # type: ignore[attr-defined]
        answers["submit"] = HubError("away", hub_code="x", hub_status=503)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "away" in order_line(app))
        del answers["submit"]
        await pilot.press("t")
        await until(pilot, lambda: bool(app.screen.query("#prompt")))
        assert app.screen.query_one("#prompt", TextArea).text == "mend"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "submit" in asked(app)[1:])
        await pilot.press("t")
        await until(pilot, lambda: bool(app.screen.query("#prompt")))
        assert app.screen.query_one("#prompt", TextArea).text == ""


async def test_an_empty_new_task_is_not_sent(until: Until) -> None:
    app = stage()
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, pilot, until)
        await pilot.press("t", "ctrl+s")
        assert str(app.screen.query_one("#fault").render()) == "Say first what is to be done."
        await pilot.press("escape")
        assert asked(app) == []


async def test_a_node_is_drained_resumed_and_its_breaker_reset(until: Until) -> None:
    broken = node(
        "Rex", 2, breaker=Breaker(state=BreakerState.OPEN, fails=3, until=ago(seconds=-9))
    )
    app = stage(ScriptedHub(snapshot(nodes=(node("Archon", draining=True), broken)), LinkUp()))
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.store.loaded)
        nodes = app.screen.query_one(NodeList)
        nodes.focus()
        await pilot.press("u")
        await until(pilot, lambda: ("resume", "Archon") in app.hub.calls.asked)  # type: ignore[attr-defined]
        await pilot.press("j", "b", "y")
        await until(pilot, lambda: ("reset_breaker", "Rex") in app.hub.calls.asked)  # type: ignore[attr-defined]
        await pilot.press("d", "f", "a", "n", "enter")
        await until(pilot, lambda: "drain" in asked(app))
        assert app.hub.calls.asked[-1][2].note == "fan"  # type: ignore[attr-defined]


async def test_u_resumes_a_blocked_account(until: Until) -> None:
    blocked = Account(name="personal", state=AccountState.BLOCKED)
    app = stage(ScriptedHub(snapshot(nodes=(node("Rex"),), accounts=(blocked,)), LinkUp()))
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: bool(app.screen.query_one(NeedList).keys))
        await pilot.press("u")
        await until(pilot, lambda: ("resume_account", "personal") in app.hub.calls.asked)  # type: ignore[attr-defined]


async def test_hold_asks_once_and_go_does_not(until: Until) -> None:
    hub = ScriptedHub(busy(), LinkUp())
    app = stage(hub)
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        await pilot.press("H", "enter")
        await until(pilot, lambda: asked(app) == ["hold"])
        assert app.hub.calls.asked[0][1].on  # type: ignore[attr-defined]
        hub.put(event(101, Entity.HOLD, "hold", {"on": True}))
        await until(pilot, lambda: app.store.folded.hold.on)
        await pilot.press("H")
        await until(pilot, lambda: asked(app) == ["hold", "hold"])
        assert not app.hub.calls.asked[1][1].on  # type: ignore[attr-defined]


async def test_stop_all_wants_the_words_typed(until: Until) -> None:
    app = stage()
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        await pilot.press("X", "enter")
        assert asked(app) == []
        await pilot.press(*"stop", "space", *"all", "enter")
        await until(pilot, lambda: asked(app) == ["say"])
        assert app.hub.calls.asked[0][1].text == "stop all"  # type: ignore[attr-defined]


async def test_the_filter_line_narrows_the_tasks_and_escape_clears_it(until: Until) -> None:
    app = stage()
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        tasks = app.screen.query_one(TaskList)
        await pilot.press("slash", *"state:", *"run", "enter")
        assert tasks.keys == [44]
        await pilot.press("escape")
        assert len(tasks.keys) == 11


async def test_a_wrong_filter_is_explained(until: Until) -> None:
    app = stage()
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        await pilot.press("slash", *"state:zzz")
        assert "no state is called zzz" in order_line(app)


async def test_s_changes_the_order(until: Until) -> None:
    app = stage()
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        tasks = app.screen.query_one(TaskList)
        tasks.focus()
        await pilot.press("s")
        assert tasks.keys == sorted(tasks.keys, reverse=True)


async def test_keys_that_do_not_apply_say_why(until: Until) -> None:
    app = stage(ScriptedHub(snapshot(), LinkUp()))
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.store.loaded)
        for key, word in (("y", "approve"), ("n", "deny"), ("x", "cancel"), ("r", "retry"),
                          ("w", "why"), ("d", "drain"), ("u", "resume"), ("b", "breaker"),
                          ("c", "go on"), ("Y", "copy"), ("a", "Nothing needs you")):  # fmt: skip
            await pilot.press(key)
            assert word in order_line(app), key
        assert asked(app) == []


async def test_the_cursor_stays_on_its_task_when_rows_move(until: Until) -> None:
    hub = ScriptedHub(busy(), LinkUp())
    app = stage(hub)
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, pilot, until)
        tasks = app.screen.query_one(TaskList)
        tasks.focus()
        tasks.select(46)
        for number in range(200, 230):
            hub.put(event(number, Entity.TASK, str(number), task(number, TaskState.RUNNING)))
        await until(pilot, lambda: len(tasks.keys) == 41)
        assert tasks.selected == 46
        place = tasks.keys.index(46) - round(tasks.scroll_y)
        assert 0 <= place < tasks.size.height


async def test_a_lost_link_is_never_shown_as_live(until: Until) -> None:
    hub = ScriptedHub(busy(), LinkUp())
    app = stage(hub)
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        tasks = app.screen.query_one(TaskList)
        hub.put(LinkLost("no answer", 3.0))
        await until(pilot, lambda: tasks.faded)
        hub.put(LinkUp())
        await until(pilot, lambda: not tasks.faded)


@pytest.mark.parametrize(
    "title",
    [
        "fix [bug] in [/foo]",
        "[/]",
        "[@click=app.exit]x[/]",
        "\x1b]52;c;eA==\x07esc\x1b[2J",
        "a\u202eb",
    ],
)
async def test_foreign_text_is_never_markup_nor_control(title: str, until: Until) -> None:
    hostile = task(7, TaskState.WAITING_APPROVAL, title=title, approval_code="K7", prompt=title)
    question = approval(1, "K7", 7, summary=title, detail=title)
    hub = ScriptedHub(
        snapshot(tasks=(hostile,), approvals=(question,), nodes=(node("Rex", drain_note=title),)),
        LinkUp(),
    )
    app = stage(hub)
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        for keys in (["n"], ["escape", "tab"], ["tab", "x"], ["escape", "w"], ["escape", "colon"]):
            await pilot.press(*keys)
        await pilot.press(*"task", "escape")
        hub.calls.answers["answer"] = HubError(title, hub_code="x", hub_status=409)
        app.screen.query_one(NeedList).focus()
        await pilot.press("y")
        await until(pilot, lambda: app.orders.kept[-1].state is OrderState.FAILED)
        for strip in app.screen._compositor.render_strips():
            assert "\x1b" not in strip.text
            assert "\u202e" not in strip.text
