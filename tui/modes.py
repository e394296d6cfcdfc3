"""The screens one goes to by number, each imported when it is first shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.screen import Screen


def approvals() -> Screen[None]:
    from tui.screens.approvals import ApprovalsScreen

    return ApprovalsScreen()


def costs() -> Screen[None]:
    from tui.screens.costs import CostsScreen

    return CostsScreen()


def conversation() -> Screen[None]:
    from tui.screens.conversation import ConversationScreen

    return ConversationScreen()


def events() -> Screen[None]:
    from tui.screens.events import EventsScreen

    return EventsScreen()
