"""Keys that arrive together: each reaches the screen it was typed for, or none."""

from __future__ import annotations

import random
from typing import Any

import pytest
from textual._xterm_parser import XTermParser
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from common.link import LinkUp
from common.wire.events import Entity
from tests.ui.conftest import Until
from tests.ui.stage import ScriptedHub, approval, event, snapshot, stage, task
from tests.ui.test_dashboard import asked, order_line, shown
from tui.app import MeshApp
from tui.screens.base import MeshScreen
from tui.screens.dialogs import ConfirmDialog, NoteDialog
from tui.screens.new_task import NewTaskDialog
from tui.state.store import Ref
from tui.state.typing import Pace, Typing
from tui.widgets.lists import TaskList

SIZE = (100, 32)
PACE = Pace(quiet_s=0.05, shown_s=0.02)


async def typed(app: MeshApp, pilot: Pilot[None], until: Until, text: str) -> None:
    """What one read of the terminal brings, by the way the driver takes it; then a person's
    pause."""
    driver = app._driver
    assert driver is not None
    messages = [Key("escape", text)] if text == "\x1b" else [*XTermParser().feed(text)]
    for message in messages:
        driver.process_message(message)
    handled = app.gate.handled + len(messages)
    await until(pilot, lambda: app.gate.handled >= handled)
    await pilot.pause(2 * PACE.quiet_s)


async def test_a_sentence_typed_after_t_is_the_prompt_and_approves_nothing(until: Until) -> None:
    app = stage(pace=PACE)
    async with app.run_test(size=SIZE) as pilot:
        await shown(app, pilot, until)
        await typed(app, pilot, until, "tyes please, deploy it now")
        assert isinstance(app.screen, NewTaskDialog)
        assert app.screen.query_one("#prompt", TextArea).text == "yes please, deploy it now"
        assert asked(app) == []


@pytest.mark.parametrize("text", ["tx", "tX", "cx", "t:"])
async def test_a_key_after_one_that_opens_a_dialog_belongs_to_the_dialog(
    until: Until, text: str
) -> None:
    app = stage(pace=PACE)
    async with app.run_test(size=SIZE) as pilot:
        await shown(app, pilot, until)
        app.screen.set_focus(app.screen.query_one(TaskList))
        app.screen.query_one(TaskList).select(47)
        await pilot.pause()
        await typed(app, pilot, until, text)
        assert isinstance(app.screen, NewTaskDialog)
        assert app.screen.query_one("#prompt", TextArea).text == text[1:]


async def test_a_filter_takes_the_letters_typed_behind_its_slash(until: Until) -> None:
    app = stage(pace=PACE)
    async with app.run_test(size=SIZE) as pilot:
        await shown(app, pilot, until)
        await typed(app, pilot, until, "/Icons")
        assert app.screen.query_one("#filter", Input).value == "Icons"
        assert app.screen.query_one(TaskList).index.sort == "usual"


async def test_a_yes_does_not_answer_what_the_key_before_it_brought_under_the_cursor(
    until: Until,
) -> None:
    questions = (approval(1, "K7", 41), approval(2, "M3", 42))
    hub = ScriptedHub(snapshot(tasks=(task(41), task(42)), approvals=questions), LinkUp())
    app = stage(hub, pace=PACE)
    async with app.run_test(size=SIZE) as pilot:
        await shown(app, pilot, until)
        for text in ("ay", "jy", "ky"):
            await typed(app, pilot, until, text)
            assert asked(app) == []
            assert "press it again" in order_line(app)
        await typed(app, pilot, until, "y")
        await until(pilot, lambda: asked(app) == ["answer"])
        assert hub.calls.asked[0][1] == app.store.folded.approvals[1].code


async def test_a_yes_does_not_answer_a_question_that_changed_as_it_was_pressed(
    until: Until,
) -> None:
    first = approval(1, "K7", 41)
    hub = ScriptedHub(snapshot(tasks=(task(41),), approvals=(first,)), LinkUp())
    app = stage(hub, pace=Pace(quiet_s=0.0, shown_s=60.0))
    async with app.run_test(size=SIZE) as pilot:
        await shown(app, pilot, until)
        changed = approval(1, "K7", 41, digest="another", summary="Bash: deploy")
        hub.put(event(101, Entity.APPROVAL, "1", changed))
        await until(pilot, lambda: app.store.folded.approvals[1].digest == "another")
        await typed(app, pilot, until, "y")
        assert asked(app) == []


async def test_a_sentence_on_the_dashboard_that_begins_with_y_approves_nothing(
    until: Until,
) -> None:
    hub = ScriptedHub(snapshot(tasks=(task(41),), approvals=(approval(1, "K7", 41),)), LinkUp())
    app = stage(hub, pace=PACE)
    async with app.run_test(size=SIZE) as pilot:
        await shown(app, pilot, until)
        await typed(app, pilot, until, "yes")
        assert asked(app) == []


@pytest.mark.parametrize(("keys", "dialog"), [("xy", ConfirmDialog), ("n\r", NoteDialog)])
async def test_a_dialog_is_not_answered_by_the_read_that_opened_it(
    until: Until, keys: str, dialog: type
) -> None:
    app = stage(pace=PACE)
    async with app.run_test(size=SIZE) as pilot:
        await shown(app, pilot, until)
        await typed(app, pilot, until, keys)
        assert isinstance(app.screen, dialog)
        assert app.screen.query_one("#box").border_subtitle == "press it again"
        await typed(app, pilot, until, keys[1])
        assert isinstance(app.screen, MeshScreen)
        await until(pilot, lambda: len(asked(app)) == 1)


async def test_a_paste_goes_to_the_field_and_decides_nothing_in_a_list(until: Until) -> None:
    app = stage(pace=PACE)
    async with app.run_test(size=SIZE) as pilot:
        await shown(app, pilot, until)
        await typed(app, pilot, until, "\x1b[200~yes please\rx\x1b[201~")
        assert isinstance(app.screen, MeshScreen)
        await typed(app, pilot, until, "t\x1b[200~yes please\rx\x1b[201~")
        assert app.screen.query_one("#prompt", TextArea).text == "yes please\nx"
        assert asked(app) == []


async def test_a_text_typed_with_the_key_to_its_screen_is_not_sent_unseen(until: Until) -> None:
    app = stage(pace=PACE)
    async with app.run_test(size=SIZE) as pilot:
        await shown(app, pilot, until)
        await typed(app, pilot, until, ":zq9 zq9\r")
        assert "press it again" in order_line(app)
        await typed(app, pilot, until, "tfix it\x13")
        assert asked(app) == []
        await typed(app, pilot, until, "\x13")
        await until(pilot, lambda: asked(app) == ["submit"])


KEYS = [
    *"ynatxrwcYdubHX:T?12345jkgG*/so fFpO[]", "\r", "\x1b[A", "\x1b[B", "\t", "\x7f", "\x13",
    "\x1b[200~yes please\rx\x1b[201~", "yes please run it", "stop all\r", "K7\r", "/Icons",
]  # fmt: skip


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(1, 12))]
)
async def test_no_burst_of_keys_orders_what_was_not_selected_and_shown(
    until: Until, seed: int
) -> None:
    """Thousands of keys over all screens, many in one read: an order can only come of a dialog
    that stood before the read, or of a key that came alone, and concerns what was selected."""
    dice = random.Random(seed)
    app = stage(pace=PACE)
    hub: Any = app.hub
    async with app.run_test(size=SIZE) as pilot:
        await shown(app, pilot, until)
        for _ in range(24):
            burst = [dice.choice(KEYS) for _ in range(dice.choice((1, 2, 2, 5, 20)))]
            screen, subject = app.screen, app.verbs.subject_shown()
            hub.calls.asked.clear()
            await typed(app, pilot, until, "".join(burst))
            for call in hub.calls.asked:
                if isinstance(screen, MeshScreen) and call[0] not in {"why", "task", "costs"}:
                    assert len(burst) == 1 or screen.place == "conversation", (burst, call)
                    assert subject is not None or call[0] in {"hold", "say"}, (burst, call)
            if dice.random() < 0.5:
                await typed(app, pilot, until, "\x1b")
        assert app.crash is None


def test_a_deciding_key_stands_alone_and_on_what_stood() -> None:
    typing = Typing(Pace(quiet_s=0.15, shown_s=0.25))
    typing.showing(Ref("approval", "1"), 10.0)
    first = typing.typed(10.2)
    assert not typing.stood(Ref("approval", "1"), 10.2)
    second = typing.typed(10.5)
    assert typing.alone(first, 10.2)
    assert typing.stood(Ref("approval", "1"), 10.5)
    assert not typing.stood(Ref("approval", "2"), 10.5)
    typing.typed(10.6)
    assert not typing.alone(second, 10.5)
