"""Pictures must not depend on the shell they are taken in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

Until = Callable[[Pilot[None], Callable[[], bool]], Awaitable[None]]


@pytest.fixture(autouse=True)
def _still(monkeypatch: pytest.MonkeyPatch) -> None:
    """No colours from the environment, no blinking."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    for widget in (Input, TextArea):
        monkeypatch.setattr(widget, "cursor_blink", False, raising=False)
    monkeypatch.setattr(Input, "_toggle_cursor", lambda self: None, raising=False)


@pytest.fixture
def until() -> Until:
    """Wait until a condition holds, with a deadline instead of a sleep."""

    async def wait(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(15):
            while not condition():
                await pilot.pause(0.01)
        await pilot.pause()

    return wait
