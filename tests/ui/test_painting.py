"""Only lines that differ are painted; what is on the screen is what painting all would show."""

from __future__ import annotations

import random

import pytest
from textual.pilot import Pilot
from textual.widget import Widget

from common.link import LinkLost, LinkUp
from common.wire.events import Entity
from common.wire.tasks import TaskState
from tests.ui.conftest import Until
from tests.ui.stage import ScriptedHub, busy, event, stage, task
from tui.app import MeshApp
from tui.widgets.lists import EventList, NeedList, NodeList, TaskList
from tui.widgets.preview import Preview

PAINTED = (NeedList, NodeList, TaskList, EventList, Preview)
KEYS = ("j", "j", "k", "pagedown", "end", "home", "space", "tab", "s", "escape")
STATES = (TaskState.QUEUED, TaskState.RUNNING, TaskState.SUCCEEDED, TaskState.FAILED)


def on_screen(app: MeshApp, widget: Widget) -> list[str]:
    """What the terminal shows where the widget is."""
    strips = app.screen._compositor.render_strips()
    inside = widget.content_region
    width, height = widget.scrollable_content_region.size
    lines = range(inside.y, inside.y + height)
    return [strips[y].crop(inside.x, inside.x + width).text for y in lines]


def painted_anew(widget: Widget) -> list[str]:
    """The same, drawn from what the widget holds now; it remembers only what it had drawn."""
    width, height = widget.scrollable_content_region.size
    memory = {name: dict(getattr(widget, name, {})) for name in ("_drawn", "_made")}
    widget.notify_style_update()
    lines = [widget.render_line(y).crop(0, width).text for y in range(height)]
    for name, drawn in memory.items():
        setattr(widget, name, drawn)
    return lines


async def _happen(rng: random.Random, hub: ScriptedHub, app: MeshApp, pilot: Pilot[None]) -> None:
    for _ in range(rng.randint(0, 6)):
        number = rng.choice((*range(40, 48), *range(100, 140)))
        record = task(number, rng.choice(STATES), title=f"title {rng.randint(0, 5)}")
        hub.put(event(rng.randint(10, 9999), Entity.TASK, str(number), record))
    if rng.random() < 0.1:
        hub.put(LinkLost("no answer", 3.0))
        hub.put(LinkUp())
    if rng.random() < 0.5:
        await pilot.press(rng.choice(KEYS))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_the_screen_is_what_painting_everything_would_show(
    seed: int, size: tuple[int, int], until: Until
) -> None:
    rng = random.Random(seed)
    hub = ScriptedHub(busy(), LinkUp())
    app = stage(hub)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.store.loaded)
        for _ in range(12):
            await _happen(rng, hub, app, pilot)
            await until(pilot, lambda: hub.empty and not app.store.changed)
            await pilot.pause()
            for kind in PAINTED:
                widget = app.screen.query_one(kind)
                if widget.content_region:
                    assert on_screen(app, widget) == painted_anew(widget), kind.__name__
