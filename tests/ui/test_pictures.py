"""Every screen in its main states, as a picture. Look at each changed one before accepting it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, timedelta
from typing import Any

import pytest
from textual.pilot import Pilot

from common.errors import ConfigError
from common.link import LinkLost, LinkUp
from common.wire.admin import Hold
from common.wire.events import Entity
from common.wire.nodes import Account, AccountState, Breaker, BreakerState
from tests.ui.stage import NOW, ScriptedHub, StillClock, busy, event, node, snapshot, stage
from tui.app import MeshApp
from tui.demo.hub import DemoHub

NARROW, MEDIUM, WIDE = (80, 24), (120, 36), (160, 50)
Compare = Callable[..., bool]


def settled(app: MeshApp) -> bool:
    """Nothing is left to be shown."""
    quiet = not app.store.changed and not app._flush_due
    groups = {"detail", "costs", "why"}
    working = [w for w in app.workers if w.group in groups and not w.is_finished]
    return quiet and not working


def keys(*pressed: str) -> Callable[[Pilot[None]], Awaitable[None]]:
    """Wait until everything is shown, press, and wait again."""

    async def run(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, MeshApp)
        async with asyncio.timeout(30):
            while not (app.store.loaded or app.store.link.reason):
                await pilot.pause(0.01)
            for key in ("", *pressed):
                if key:
                    await pilot.press(key)
                await pilot.pause()
                while not settled(app):
                    await pilot.pause(0.01)
            await pilot.pause()

    return run


def demo(theme: str = "mesh-dark") -> MeshApp:
    """Questions pending, a breaker open, an account paused, tasks in most states."""
    clock = StillClock()
    return stage(DemoHub(clock, random.Random(4), alive=False), theme=theme, clock=clock)


def scripted(*items: Any, theme: str = "mesh-dark") -> MeshApp:
    return stage(ScriptedHub(*items), theme=theme)


@pytest.mark.parametrize("size", [NARROW, MEDIUM, WIDE], ids=["narrow", "medium", "wide"])
def test_dashboard_with_questions_breaker_and_pause(snap_compare: Compare, size: Any) -> None:
    assert snap_compare(demo(), terminal_size=size, run_before=keys())


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_dashboard_empty(snap_compare: Compare, size: Any) -> None:
    assert snap_compare(scripted(snapshot(), LinkUp()), terminal_size=size, run_before=keys())


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_dashboard_with_every_state_of_a_task(snap_compare: Compare, size: Any) -> None:
    assert snap_compare(stage(), terminal_size=size, run_before=keys("tab", "tab", "space"))


def test_dashboard_light(snap_compare: Compare) -> None:
    assert snap_compare(demo("mesh-light"), terminal_size=WIDE, run_before=keys("tab"))


@pytest.mark.parametrize("theme", ["ansi-dark", "ansi-light"])
def test_dashboard_in_the_terminals_own_colours(snap_compare: Compare, theme: str) -> None:
    assert snap_compare(demo(theme), terminal_size=NARROW, run_before=keys())


def test_dashboard_without_colour(snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(demo(), terminal_size=NARROW, run_before=keys())


def test_dashboard_when_the_hub_went_away(snap_compare: Compare) -> None:
    lost = LinkLost("no answer from the hub at http://127.0.0.1:8420", 3.0)
    app = scripted(busy(), LinkUp(), lost)
    assert snap_compare(app, terminal_size=MEDIUM, run_before=keys())


def test_dashboard_stale(snap_compare: Compare) -> None:
    app = scripted(busy(), LinkUp(), LinkLost("no answer from the hub", 5.0))

    async def later(pilot: Pilot[None]) -> None:
        await keys()(pilot)
        app.clock.at += 75  # type: ignore[attr-defined]
        app._tick()
        await keys()(pilot)

    assert snap_compare(app, terminal_size=NARROW, run_before=later)


def test_dashboard_on_hold(snap_compare: Compare) -> None:
    hold = event(101, Entity.HOLD, "hold", Hold(on=True, by="ada", reason="lunch", at=NOW))
    app = scripted(busy(), LinkUp(), hold)
    assert snap_compare(app, terminal_size=NARROW, run_before=keys())


def test_dashboard_filtered(snap_compare: Compare) -> None:
    run = keys("slash", *"node:rex", "enter", "s")
    assert snap_compare(stage(), terminal_size=NARROW, run_before=run)


def test_dashboard_with_wide_characters(snap_compare: Compare) -> None:
    titles = ("日本語の長い題名は幅が二倍になる", "👩‍💻 emoji and ﷽", "naïve café ✓", "[bold]x[/]")
    tasks = tuple(_task(n, title=title, node="東京") for n, title in enumerate(titles, start=1))
    app = scripted(snapshot(tasks=tasks, nodes=(node("東京のマック"),)), LinkUp())
    assert snap_compare(app, terminal_size=NARROW, run_before=keys())


def _task(number: int, **more: Any) -> Any:
    from tests.ui.stage import task

    return task(number, "running", **more)  # type: ignore[arg-type]


# -- first run ---------------------------------------------------------------------------------


def test_welcome_without_a_token(snap_compare: Compare) -> None:
    missing = ConfigError(
        "no token: /Users/ada/.local/state/mesh/tokens/operator.token does not exist. On the hub "
        "run: mesh token new --role operator, and put its output in that file (mode 600) or in "
        "MESH_TOKEN"
    )
    assert snap_compare(scripted(missing), terminal_size=NARROW, run_before=keys())


def test_welcome_without_a_hub(snap_compare: Compare) -> None:
    away = LinkLost("no answer from the hub at http://127.0.0.1:8420 (connection refused)", 3.0)
    assert snap_compare(scripted(away), terminal_size=MEDIUM, run_before=keys())


# -- the other screens -------------------------------------------------------------------------

TO_TASKS = ("tab", "tab")


@pytest.mark.parametrize("size", [NARROW, MEDIUM, WIDE], ids=["narrow", "medium", "wide"])
def test_task_running(snap_compare: Compare, size: Any) -> None:
    run = keys(*TO_TASKS, *"jjjjj", "enter")
    assert snap_compare(demo(), terminal_size=size, run_before=run)


def test_task_unfolded(snap_compare: Compare) -> None:
    run = keys(*TO_TASKS, *"jjjjj", "enter", "O", "g")
    assert snap_compare(demo("mesh-light"), terminal_size=WIDE, run_before=run)


def test_task_waiting_for_approval(snap_compare: Compare) -> None:
    assert snap_compare(demo(), terminal_size=NARROW, run_before=keys(*TO_TASKS, "enter"))


def test_task_finished_with_its_result(snap_compare: Compare) -> None:
    run = keys(*TO_TASKS, "G", "enter")
    assert snap_compare(demo(), terminal_size=MEDIUM, run_before=run)


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_approvals_pending(snap_compare: Compare, size: Any) -> None:
    assert snap_compare(demo(), terminal_size=size, run_before=keys("2"))


def test_approvals_answered(snap_compare: Compare) -> None:
    assert snap_compare(demo("mesh-light"), terminal_size=MEDIUM, run_before=keys("2", "G"))


def test_approvals_none(snap_compare: Compare) -> None:
    app = scripted(snapshot(), LinkUp())
    assert snap_compare(app, terminal_size=NARROW, run_before=keys("2"))


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_node_with_an_open_breaker(snap_compare: Compare, size: Any) -> None:
    assert snap_compare(demo(), terminal_size=size, run_before=keys("tab", "G", "enter"))


def test_node_whose_account_is_paused(snap_compare: Compare) -> None:
    paused = Account(
        name="personal", state=AccountState.PAUSED, reason="5-hour limit",
        paused_until=NOW + timedelta(minutes=47),
    )  # fmt: skip
    half = Breaker(state=BreakerState.HALF_OPEN, probe_fence=7, opens=2, reason="exit 127")
    rex = node("Rex", draining=True, drain_note="new fan", breaker=half, version="0.1.0")
    app = scripted(snapshot(nodes=(rex,), accounts=(paused,)), LinkUp())
    assert snap_compare(app, terminal_size=MEDIUM, run_before=keys("tab", "enter"))


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_costs(snap_compare: Compare, size: Any) -> None:
    assert snap_compare(demo(), terminal_size=size, run_before=keys("3"))


def test_costs_of_a_month_light(snap_compare: Compare) -> None:
    run = keys("3", "p", "p")
    assert snap_compare(demo("mesh-light"), terminal_size=MEDIUM, run_before=run)


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_conversation(snap_compare: Compare, size: Any) -> None:
    assert snap_compare(demo(), terminal_size=size, run_before=keys("4"))


def test_events_filtered(snap_compare: Compare) -> None:
    run = keys("5", "slash", *"archon", "enter")
    assert snap_compare(demo(), terminal_size=NARROW, run_before=run)


def test_events(snap_compare: Compare) -> None:
    assert snap_compare(demo(), terminal_size=MEDIUM, run_before=keys("5"))


# -- dialogs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "pressed"),
    [
        ("help", ("question_mark",)),
        ("new-task", ("t",)),
        ("new-task-fault", ("t", "ctrl+s")),
        ("why", (*TO_TASKS, *"jjjjjjj", "w")),
        ("cancel", (*TO_TASKS, "j", "j", "x")),
        ("approve-risky", ("y",)),
        ("deny", ("n",)),
        ("drain", ("tab", "d")),
        ("hold", ("H",)),
        ("continue", (*TO_TASKS, "G", "c")),
        ("palette", ("colon", *"drain")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_dialogs(snap_compare: Compare, name: str, pressed: tuple[str, ...]) -> None:
    assert snap_compare(demo(), terminal_size=NARROW, run_before=keys(*pressed))


def test_zone_of_the_pictures_is_fixed() -> None:
    assert demo().zone is UTC
