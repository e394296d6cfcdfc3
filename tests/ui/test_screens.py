"""The other screens: their keys, what they fetch, what they follow."""

from __future__ import annotations

from typing import Any

from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import Input

from common.client.http import HubError
from common.errors import ConfigError
from common.link import LinkLost, LinkUp
from common.wire.admin import CostRow, Costs
from common.wire.approvals import ApprovalKind, Decision
from common.wire.events import Entity
from common.wire.messages import Message, MessageState
from common.wire.nodes import OutputKind, OutputLine
from common.wire.tasks import NodeVerdict, TaskState, Why
from tests.ui.conftest import Until
from tests.ui.stage import (
    NOW,
    ScriptedHub,
    ago,
    approval,
    busy,
    event,
    snapshot,
    stage,
    task,
)
from tui.app import MeshApp
from tui.screens.approvals import ApprovalsScreen
from tui.screens.conversation import ConversationScreen
from tui.screens.costs import CostList, CostsScreen
from tui.screens.dashboard import DashboardScreen
from tui.screens.events import EventsScreen
from tui.screens.help import HelpDialog
from tui.screens.node import NodeScreen
from tui.screens.task import TaskScreen
from tui.screens.welcome import WelcomeScreen
from tui.screens.why import WhyDialog
from tui.state.cells import text_of
from tui.state.store import Ref
from tui.widgets.lists import EventList, NeedList, NodeList, TaskList
from tui.widgets.preview import Preview
from tui.widgets.text_list import TextList

WIDE = (160, 50)


async def shown(app: MeshApp, pilot: Pilot[None], until: Until) -> None:
    await until(pilot, lambda: app.store.loaded and bool(app.screen.query_one(TaskList).keys))


async def open_task(app: MeshApp, pilot: Pilot[None], until: Until, number: int) -> TaskScreen:
    await shown(app, pilot, until)
    tasks = app.screen.query_one(TaskList)
    tasks.focus()
    tasks.select(number)
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, TaskScreen))
    assert isinstance(app.screen, TaskScreen)
    return app.screen


def on_screen(app: MeshApp) -> str:
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


def line(n: int, kind: OutputKind, text: str, **more: Any) -> OutputLine:
    return OutputLine(fence=9, n=n, kind=kind, text=text, at=NOW, **more)


def calls(app: MeshApp) -> list[Any]:
    return app.hub.calls.asked  # type: ignore[attr-defined, no-any-return]


async def test_numbers_go_to_the_screens_and_escape_comes_back(until: Until) -> None:
    app = stage()
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, pilot, until)
        for key, kind in (("2", ApprovalsScreen), ("3", CostsScreen), ("4", ConversationScreen),
                          ("5", EventsScreen), ("1", DashboardScreen)):  # fmt: skip
            if isinstance(app.screen, ConversationScreen):
                await pilot.press("escape")
            await pilot.press(key)
            await until(pilot, lambda kind=kind: isinstance(app.screen, kind))  # type: ignore[misc]
        await pilot.press("5", "escape")
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))


async def test_output_is_followed_and_tool_calls_unfold(until: Until) -> None:
    hub = ScriptedHub(busy(), LinkUp())
    hub.lines = [
        line(0, OutputKind.TEXT, "Looking."),
        line(1, OutputKind.TOOL_START, "pytest", tool="Bash", tool_id="a"),
        line(2, OutputKind.TOOL_END, "58 passed [in /x]", tool_id="a"),
    ]
    app = stage(hub)
    async with app.run_test(size=WIDE) as pilot:
        screen = await open_task(app, pilot, until, 44)
        await until(pilot, lambda: "▸ Bash  pytest" in on_screen(app))
        assert "58 passed" not in on_screen(app)
        await pilot.press("o")
        await until(pilot, lambda: "58 passed [in /x]" in on_screen(app))
        await pilot.press("O", "O")
        assert "58 passed" not in on_screen(app)
        view = screen.query_one("#output", TextList)
        assert view.following
        await pilot.press("g")
        assert not view.following
        await pilot.press("f")
        assert view.following
        await pilot.press("Y")
        assert app.clipboard == "Looking."


async def test_a_tasks_page_is_fetched_again_when_its_record_changed(until: Until) -> None:
    hub = ScriptedHub(busy(), LinkUp())
    app = stage(hub)
    async with app.run_test(size=WIDE) as pilot:
        await open_task(app, pilot, until, 44)
        await until(pilot, lambda: ("task", 44) in calls(app))
        before = calls(app).count(("task", 44))
        hub.put(event(101, Entity.TASK, "44", task(44, TaskState.SUCCEEDED)))
        await until(pilot, lambda: calls(app).count(("task", 44)) > before)


async def test_y_on_a_waiting_task_answers_its_question(until: Until) -> None:
    app = stage()
    async with app.run_test(size=WIDE) as pilot:
        await open_task(app, pilot, until, 41)
        await pilot.press("y")
        await until(pilot, lambda: any(call[:2] == ("answer", "K7") for call in calls(app)))


async def test_c_goes_on_with_a_finished_task(until: Until) -> None:
    app = stage()
    async with app.run_test(size=WIDE) as pilot:
        await open_task(app, pilot, until, 47)
        await pilot.press("c")
        await until(pilot, lambda: bool(app.screen.query("#prompt")))
        await pilot.press(*"more", "ctrl+j")
        await until(pilot, lambda: calls(app)[-1][0] == "submit")
        body = calls(app)[-1][1]
        assert (body.prompt, body.continue_of) == ("more", 47)


async def test_why_shows_the_dispatchers_verdicts(until: Until) -> None:
    app = stage()
    verdicts = [NodeVerdict(node="Rex", eligible=False, reason="its breaker is open")]
    app.hub.calls.answers["why"] = Why(  # type: ignore[attr-defined]
        task_id=40, state=TaskState.QUEUED, reason="no node is eligible", nodes=verdicts
    )
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        tasks = app.screen.query_one(TaskList)
        tasks.focus()
        tasks.select(40)
        await pilot.press("w")
        await until(pilot, lambda: "its breaker is open" in on_screen(app))
        assert isinstance(app.screen, WhyDialog)
        await pilot.press("escape")
        assert isinstance(app.screen, DashboardScreen)


async def test_a_refusal_to_say_why_is_shown_in_its_place(until: Until) -> None:
    app = stage()
    app.hub.calls.answers["why"] = HubError("no such task", hub_code="x", hub_status=404)  # type: ignore[attr-defined]
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        app.screen.query_one(TaskList).focus()
        await pilot.press("w")
        await until(pilot, lambda: "no such task" in on_screen(app))


async def test_a_question_with_choices_is_answered_with_one(until: Until) -> None:
    asks = approval(1, "Q4", 7, kind=ApprovalKind.QUESTION, choices=["keep", "drop [it]"])
    waiting = task(7, TaskState.WAITING_APPROVAL, approval_code="Q4")
    app = stage(ScriptedHub(snapshot(approvals=(asks,), tasks=(waiting,)), LinkUp()))
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        await pilot.press("y")
        await until(pilot, lambda: "drop [it]" in on_screen(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: bool(calls(app)))
        body = calls(app)[0][2]
        assert (body.decision, body.answer) == (Decision.APPROVE, "drop [it]")


async def test_a_question_is_answered_in_own_words(until: Until) -> None:
    asks = approval(1, "Q4", None, kind=ApprovalKind.QUESTION)
    app = stage(ScriptedHub(snapshot(approvals=(asks,)), LinkUp()))
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: bool(app.screen.query_one(NeedList).keys))
        await pilot.press("y", *"blue", "enter")
        await until(pilot, lambda: bool(calls(app)))
        assert calls(app)[0][2].answer == "blue"


async def test_the_approvals_screen_answers_what_its_cursor_is_on(until: Until) -> None:
    app = stage()
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.screen, ApprovalsScreen))
        await pilot.press("j", "y")
        await until(pilot, lambda: bool(calls(app)))
        assert calls(app)[0][1] == "K7"
        await pilot.press("Y")
        assert app.clipboard == "rm -rf build"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, TaskScreen))


async def test_opening_a_need_shows_its_question(until: Until) -> None:
    app = stage()
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        await pilot.press("j", "enter")
        await until(pilot, lambda: isinstance(app.screen, ApprovalsScreen))
        assert app.screen.subject() == ("approval", "1")  # type: ignore[attr-defined]


async def test_a_goes_from_anywhere_to_the_next_need(until: Until) -> None:
    app = stage()
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        await pilot.press("3", "a")
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))
        assert isinstance(app.focused, NeedList)
        first = app.focused.selected
        await pilot.press("a")
        await until(pilot, lambda: app.focused.selected != first)  # type: ignore[union-attr]


async def test_a_node_screen_shows_only_what_is_of_that_node(until: Until) -> None:
    app = stage()
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        nodes = app.screen.query_one(NodeList)
        nodes.focus()
        nodes.select("Rex")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, NodeScreen))
        tasks = app.screen.query_one(TaskList)
        await until(pilot, lambda: bool(tasks.keys))
        assert {app.store.folded.tasks[n].node for n in tasks.keys} == {"Rex"}
        await pilot.press("d", "enter")
        await until(pilot, lambda: any(call[0] == "drain" for call in calls(app)))
        await pilot.press("space", "x", "y")
        await until(pilot, lambda: any(call[0] == "cancel" for call in calls(app)))


async def test_costs_are_fetched_for_the_period_and_open_their_task(until: Until) -> None:
    app = stage()
    rows = [CostRow(key="44", cost_usd=2.0, attempts=1), CostRow(key="47", cost_usd=3.0)]
    app.hub.calls.answers["costs"] = Costs(by="task", rows=rows, total=CostRow(key="t"))  # type: ignore[attr-defined]
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        await pilot.press("3")
        await until(pilot, lambda: isinstance(app.screen, CostsScreen))
        by_task = app.screen.query_one("#by-task", CostList)
        await until(pilot, lambda: list(by_task.keys) == ["47", "44"])
        assert {call[1] for call in calls(app)} == {"day", "node", "specialist", "model", "task"}
        await pilot.press("p")
        await until(pilot, lambda: len(calls(app)) == 10)
        assert calls(app)[-1][2] == 7
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, TaskScreen))


async def test_a_line_typed_into_the_thread_is_sent_to_its_chat(until: Until) -> None:
    texts = tuple(
        Message(id=f"in-{n}", direction="in", chat=chat, text="hi", at=ago(minutes=9 - n),
                state=MessageState.RECEIVED)
        for n, chat in enumerate(("a", "b"))
    )  # fmt: skip
    app = stage(ScriptedHub(snapshot(messages=texts), LinkUp()))
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.store.loaded)
        await pilot.press("4")
        await until(pilot, lambda: isinstance(app.screen, ConversationScreen))
        await pilot.press(*"status", "enter")
        await until(pilot, lambda: bool(calls(app)))
        assert (calls(app)[0][1].text, calls(app)[0][1].chat) == ("status", "b")
        assert app.screen.query_one("#say", Input).value == ""
        await pilot.press("escape", "left_square_bracket")
        assert app.screen.chat == "a"  # type: ignore[attr-defined]
        await pilot.press("right_square_bracket", "Y")
        assert app.clipboard == "hi"


async def test_events_can_be_filtered_paused_and_followed(until: Until) -> None:
    hub = ScriptedHub(busy(), LinkUp())
    app = stage(hub)
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        await pilot.press("5")
        await until(pilot, lambda: isinstance(app.screen, EventsScreen))
        events = app.screen.query_one(EventList)
        assert events.following
        await pilot.press("k")
        held = events.selected
        hub.put(event(101, Entity.TASK, "90", task(90)))
        await until(pilot, lambda: 90 in app.store.folded.tasks and len(events.keys) == 12)
        assert events.selected == held
        await pilot.press("f")
        hub.put(event(102, Entity.TASK, "91", task(91)))
        await until(pilot, lambda: events.selected == events.keys[-1] and len(events.keys) == 13)
        await pilot.press("slash", *"#91", "enter")
        assert len(events.keys) == 1
        await pilot.press("escape")
        assert len(events.keys) == 13


async def test_the_palette_runs_verbs_and_opens_tasks(until: Until) -> None:
    app = stage()
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        await pilot.press("colon", *"running")
        await until(pilot, lambda: "#44 running thing" in on_screen(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))
        await pilot.press("ctrl+p", *"help")
        await until(pilot, lambda: "All keys of this screen" in on_screen(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, HelpDialog))


async def test_the_palette_shows_a_title_as_it_is_written(until: Until) -> None:
    hub = ScriptedHub(busy(), LinkUp())
    app = stage(hub)
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        odd = "zeta [/] [@click=app.quit]omega[/]"
        hub.put(event(101, Entity.TASK, "90", task(90, title=odd)))
        await until(pilot, lambda: 90 in app.store.folded.tasks)
        await pilot.press("colon", *"zeta")
        await until(pilot, lambda: f"#90 {odd}" in on_screen(app))
        assert "send “zeta” as a text" in on_screen(app)


async def test_the_palette_may_be_opened_while_the_screen_changes(until: Until) -> None:
    app = stage()
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        app.verbs.run("go_costs")
        app.verbs.run("palette")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press("escape")
        await until(pilot, lambda: app.current_mode == "costs")


async def test_a_filter_is_shown_as_it_is_written(until: Until) -> None:
    app = stage()
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        await pilot.press("slash")
        for line in ("[/", "[$foo]", "a\\b"):
            app.screen.query_one("#filter", Input).value = line
            await pilot.pause()
            assert line in on_screen(app)


async def test_a_question_of_a_running_task_is_answered_from_the_task(until: Until) -> None:
    hub = ScriptedHub(busy(), LinkUp())
    app = stage(hub)
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        hub.put(event(101, Entity.TASK, "90", task(90, TaskState.RUNNING)))
        hub.put(event(102, Entity.APPROVAL, "9", approval(9, "Q9", 90)))
        await until(pilot, lambda: 9 in app.store.pending)
        app.open(Ref("task", "90"))
        await until(pilot, lambda: isinstance(app.screen, TaskScreen))
        await pilot.press("y")
        await until(pilot, lambda: "answer" in [call[0] for call in calls(app)])


async def test_any_line_can_be_sent_as_a_text_from_the_palette(until: Until) -> None:
    app = stage()
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        await pilot.press("colon", *"ls", "space", *"zqx")
        await until(pilot, lambda: "send “ls zqx” as a text" in on_screen(app))
        await pilot.press("enter")
        await until(pilot, lambda: bool(calls(app)))
        assert calls(app)[0][1].text == "ls zqx"


async def test_a_line_the_hub_did_not_take_comes_back(until: Until) -> None:
    app = stage()
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        await pilot.press("4")
        await until(pilot, lambda: isinstance(app.screen, ConversationScreen))
        app.hub.calls.answers["say"] = HubError("away", hub_code="x", hub_status=503)  # type: ignore[attr-defined]
        line = app.screen.query_one("#say", Input)
        await pilot.press(*"mend", "enter")
        await until(pilot, lambda: "say" in [call[0] for call in calls(app)])
        await until(pilot, lambda: line.value == "mend")


async def test_help_is_scrolled_and_closed_by_keys(until: Until) -> None:
    app = stage(keymap={"approve": "ctrl+y"})
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, pilot, until)
        await pilot.press("question_mark")
        assert "^y" in on_screen(app)
        keys = app.screen.query_one("#keys")
        for press, moved in (("ctrl+d", True), ("ctrl+u", False), ("G", True), ("g", False)):
            await pilot.press(press)
            await until(pilot, lambda moved=moved: (keys.scroll_y > 0) == moved)
        await pilot.press("j", "k", "question_mark")
        assert isinstance(app.screen, DashboardScreen)


async def test_a_remapped_key_works_and_the_old_one_does_not(until: Until) -> None:
    app = stage(keymap={"approve": "ctrl+y"})
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        await pilot.press("j", "y")
        assert calls(app) == []
        await pilot.press("ctrl+y")
        await until(pilot, lambda: bool(calls(app)))


async def test_t_changes_the_theme_and_q_leaves(until: Until) -> None:
    app = stage()
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        await pilot.press("T")
        assert app.theme == "mesh-light"
        await pilot.press("q")
        await until(pilot, lambda: app._exit)
    assert app.return_code == 0
    assert app.hub.closed  # type: ignore[attr-defined]


async def test_keys_of_the_bar_can_be_clicked(until: Until) -> None:
    app = stage()
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, pilot, until)
        await pilot.click("KeyBar", offset=(2, 0))
        assert isinstance(app.screen, HelpDialog)


async def test_rows_can_be_clicked_and_double_clicked(until: Until) -> None:
    app = stage()
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(app, pilot, until)
        await pilot.click("TaskList", offset=(20, 3))
        tasks = app.screen.query_one(TaskList)
        assert tasks.selected == tasks.keys[2]
        await pilot.click("TaskList", offset=(20, 3), times=2)
        await until(pilot, lambda: isinstance(app.screen, TaskScreen))


async def test_the_first_screen_says_what_to_type_until_the_hub_answers(until: Until) -> None:
    hub = ScriptedHub(LinkLost("no answer", 3.0))
    app = stage(hub)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, WelcomeScreen))
        await until(pilot, lambda: "mesh up" in on_screen(app))
        await pilot.press("t", "escape")
        assert isinstance(app.screen, WelcomeScreen)
        hub.put(busy(), LinkUp())
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))


async def test_without_a_token_it_tries_again_by_itself(until: Until) -> None:
    hub = ScriptedHub(ConfigError("no token: run mesh init"))
    app = stage(hub)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, WelcomeScreen))
        hub.put(busy(), LinkUp())
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))


async def test_a_refused_token_keeps_what_is_shown_but_not_as_live(until: Until) -> None:
    hub = ScriptedHub(busy(), LinkUp())
    app = stage(hub)
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        hub.put(HubError("this token was revoked", hub_code="unauthorized", hub_status=401))
        await until(pilot, lambda: "this token was revoked" in on_screen(app))
        assert "✗ refused" in on_screen(app)


async def test_the_header_stays_true_while_a_dialog_is_open(until: Until) -> None:
    hub = ScriptedHub(busy(), LinkUp())
    app = stage(hub)
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        await pilot.press("t")
        hub.put(LinkLost("no answer", 3.0))
        await until(pilot, lambda: app.store.link.reason == "no answer")
        app._tick()
        await until(pilot, lambda: "reconnecting" in on_screen(app))


async def test_the_preview_follows_the_cursor(until: Until) -> None:
    app = stage()
    async with app.run_test(size=WIDE) as pilot:
        await shown(app, pilot, until)
        app.screen.query_one(TaskList).focus()
        await pilot.press("g", "j")
        lines = app.screen.query_one(Preview)._lines
        assert text_of(lines[0]) == "#42 ! attention"
