"""The verbs of the key table: each finds what is selected, asks once where it must, and orders."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from common.wire.approvals import Approval, ApprovalKind, Decision, Risk
from common.wire.nodes import Account, AccountState, BreakerState, Node
from common.wire.tasks import LIVE_STATES, TERMINAL_STATES, Task
from tui import orders, themes
from tui.control import Control
from tui.keys import BY_ID
from tui.state import confirmations
from tui.state.needs import needs
from tui.state.nodes import account_troubles
from tui.state.store import Ref

if TYPE_CHECKING:
    from tui.screens.base import MeshScreen


WITHOUT_HUB = frozenset({"help", "quit", "theme", "back"})


class Verbs:
    """`run` does what a key, a click or the palette asks for."""

    def __init__(self, control: Control) -> None:
        self.control = control
        self._number = 0
        self._moving = asyncio.Lock()
        self._unsent: dict[int | None, str] = {}

    def run(self, action_id: str) -> None:
        if not self.control.store.loaded and action_id not in WITHOUT_HUB:
            self.control.tell("There is no hub to ask yet.")
            return
        getattr(self, action_id if action_id != "continue" else "continue_")()

    def applicable(self, screen: MeshScreen) -> set[str]:
        """The ids of the verbs that do something to what is selected there."""
        if not self.control.store.loaded:
            return set(WITHOUT_HUB)
        found = {action.id for action in BY_ID.values() if action.verb and not action.subject}
        if self._approval(screen):
            found |= {"approve", "deny"}
        tasks = self._tasks(screen)
        if any(task.state not in TERMINAL_STATES for task in tasks):
            found |= {"cancel", "why"}
        if any(task.state in TERMINAL_STATES for task in tasks):
            found |= {"retry", "continue"}
        node = self._node(screen)
        if node is not None:
            found.add("resume" if node.draining or self._paused_account(screen) else "drain")
            if node.breaker.state is not BreakerState.CLOSED or node.breaker.fails:
                found.add("reset")
        elif self._paused_account(screen):
            found.add("resume")
        if screen.copyable():
            found.add("copy")
        return found

    # -- what is selected -----------------------------------------------------------------

    @property
    def _screen(self) -> MeshScreen | None:
        from tui.screens.base import MeshScreen

        screen = self.control.textual.screen
        return screen if isinstance(screen, MeshScreen) else None

    def _approval(self, screen: MeshScreen | None) -> Approval | None:
        ref, store = screen.subject() if screen else None, self.control.store
        if ref is None:
            return None
        if ref.kind == "approval":
            approval = store.folded.approvals.get(int(ref.key))
            return approval if approval and approval.id in store.pending else None
        if ref.kind == "task":
            task = store.folded.tasks.get(int(ref.key))
            return store.question_about(task) if task else None
        return None

    def _tasks(self, screen: MeshScreen | None) -> list[Task]:
        if screen is None:
            return []
        tasks = self.control.store.folded.tasks
        marked = [tasks[task_id] for task_id in screen.marked() if task_id in tasks]
        if marked:
            return marked
        ref = screen.task_subject()
        if ref is not None and ref.kind == "approval":
            approval = self.control.store.folded.approvals.get(int(ref.key))
            ref = orders.task_ref(approval.task_id) if approval and approval.task_id else None
        task = tasks.get(int(ref.key)) if ref and ref.kind == "task" else None
        return [task] if task else []

    def _node(self, screen: MeshScreen | None) -> Node | None:
        ref = screen.subject() if screen else None
        return self.control.store.folded.nodes.get(ref.key) if ref and ref.kind == "node" else None

    def _paused_account(self, screen: MeshScreen | None) -> str | None:
        ref = screen.subject() if screen else None
        store, node = self.control.store, self._node(screen)
        if node is not None and not node.draining:
            return next((row.name for row in account_troubles(store, node)), None)
        account = store.folded.accounts.get(ref.key) if ref and ref.kind == "account" else None
        return account.name if account and account.state is not AccountState.OK else None

    # -- answers --------------------------------------------------------------------------

    def approve(self) -> None:
        approval = self._approval(self._screen)
        if approval is None:
            self.control.tell("Nothing to approve here: select a question under Needs you.")
        elif approval.kind is ApprovalKind.QUESTION:
            self._later(self._choose(approval))
        elif approval.risk is Risk.HIGH:
            self._later(self._approve_risky(approval))
        else:
            self.control.place_order(orders.answer(approval, Decision.APPROVE))

    def deny(self) -> None:
        approval = self._approval(self._screen)
        if approval is None:
            self.control.tell("Nothing to deny here: select a question under Needs you.")
        else:
            self._later(self._deny(approval))

    async def _choose(self, approval: Approval) -> None:
        from tui.screens.dialogs import ChoiceDialog

        choice = await self.control.textual.push_screen_wait(ChoiceDialog(approval))
        if choice:
            self.control.place_order(orders.answer(approval, Decision.APPROVE, choice=choice))

    async def _approve_risky(self, approval: Approval) -> None:
        from tui.screens.dialogs import TypedDialog

        asked = confirmations.risky(approval)
        if await self.control.textual.push_screen_wait(TypedDialog(asked, approval.code)):
            self.control.place_order(orders.answer(approval, Decision.APPROVE))

    async def _deny(self, approval: Approval) -> None:
        from tui.screens.dialogs import NoteDialog

        note = await self.control.textual.push_screen_wait(NoteDialog(confirmations.deny(approval)))
        if note is not None:
            self.control.place_order(orders.answer(approval, Decision.DENY, note=note or None))

    def next_need(self) -> None:
        waiting = [need for need in needs(self.control.store, self._now()) if need.yours]
        if not waiting:
            self.control.tell("Nothing needs you.")
            return
        self._later(self._show_need(waiting[0].ref))

    async def _show_need(self, ref: Ref) -> None:
        from tui.screens.dashboard import DashboardScreen

        await self._switch("dashboard")
        if isinstance(self._screen, DashboardScreen):
            self._screen.next_need(ref)

    # -- tasks ----------------------------------------------------------------------------

    def new_task(self) -> None:
        self._later(self._new_task())

    async def _new_task(self, continue_of: Task | None = None) -> None:
        from tui.screens.new_task import NewTaskDialog

        about = continue_of.id if continue_of else None
        written = self._unsent.get(about, "")
        dialog = NewTaskDialog(self.control.store, continue_of, written)
        body = await self.control.textual.push_screen_wait(dialog)
        self._unsent[about] = dialog.written
        if body is not None:
            order = orders.submit(body, self.control.new_key())
            self.control.place_order(order.then(partial(self._sent, about, dialog.written)))

    def _sent(self, about: int | None, written: str, confirmed: bool) -> None:
        if confirmed and self._unsent.get(about) == written:
            del self._unsent[about]

    def continue_(self) -> None:
        tasks = self._tasks(self._screen)
        if len(tasks) != 1:
            self.control.tell("Select one task to go on with.")
        elif tasks[0].state not in TERMINAL_STATES:
            self.control.tell(f"#{tasks[0].id} is not finished: go on when it is.")
        else:
            self._later(self._new_task(tasks[0]))

    def cancel(self) -> None:
        tasks = [t for t in self._tasks(self._screen) if t.state not in TERMINAL_STATES]
        if not tasks:
            self.control.tell("Nothing to cancel here: select a task that is not finished.")
        else:
            self._later(self._cancel(tasks))

    async def _cancel(self, tasks: list[Task]) -> None:
        if await self._ask(confirmations.cancel(tasks, self._now())):
            for task in tasks:
                self.control.place_order(orders.cancel(task))
            self._unmark()

    def retry(self) -> None:
        tasks = [t for t in self._tasks(self._screen) if t.state in TERMINAL_STATES]
        if not tasks:
            self.control.tell("Nothing to retry here: select a finished task.")
        elif len(tasks) == 1:
            self.control.place_order(orders.retry(tasks[0], self.control.new_key()))
        else:
            self._later(self._retry(tasks))

    async def _retry(self, tasks: list[Task]) -> None:
        if await self._ask(confirmations.retry(tasks)):
            for task in tasks:
                self.control.place_order(orders.retry(task, self.control.new_key()))
            self._unmark()

    def why(self) -> None:
        tasks = self._tasks(self._screen)
        if tasks:
            from tui.screens.why import WhyDialog

            self.control.textual.push_screen(WhyDialog(tasks[0]))
        else:
            self.control.tell("Select a task to ask why it waits.")

    def copy(self) -> None:
        text = self._screen.copyable() if self._screen else None
        if text:
            self.control.textual.copy_to_clipboard(text)
            self.control.tell(f"Copied {len(text)} characters.")
        else:
            self.control.tell("Nothing to copy here.")

    # -- nodes and mesh -------------------------------------------------------------------

    def drain(self) -> None:
        node = self._node(self._screen)
        if node is None:
            self.control.tell("Select a node to drain.")
        elif node.draining:
            self.control.tell(f"{node.name} drains already; u gives it work again.")
        else:
            self._later(self._drain(node))

    async def _drain(self, node: Node) -> None:
        from tui.screens.dialogs import NoteDialog

        live = len(self.control.store.live.get(node.name, ()))
        asked = confirmations.drain(node, live)
        note = await self.control.textual.push_screen_wait(NoteDialog(asked))
        if note is not None:
            self.control.place_order(orders.drain(node, note or None))

    def resume(self) -> None:
        node, account = self._node(self._screen), self._paused_account(self._screen)
        if node is not None and node.draining:
            self.control.place_order(orders.resume(node.name))
        elif account is not None:
            self.control.place_order(orders.resume_account(account))
        else:
            self.control.tell("Nothing to resume here: select a draining node or paused account.")

    def reset(self) -> None:
        node = self._node(self._screen)
        if node is None:
            self.control.tell("Select a node to reset its breaker.")
        else:
            self._later(self._reset(node))

    async def _reset(self, node: Node) -> None:
        if await self._ask(confirmations.reset(node)):
            self.control.place_order(orders.reset_breaker(node.name))

    def hold(self) -> None:
        if self.control.store.folded.hold.on:
            self.control.place_order(orders.hold(False))
        else:
            self._later(self._hold())

    async def _hold(self) -> None:
        from tui.screens.dialogs import NoteDialog

        counts = self.control.store.counts
        asked = confirmations.hold(sum(counts[state] for state in LIVE_STATES))
        note = await self.control.textual.push_screen_wait(NoteDialog(asked))
        if note is not None:
            self.control.place_order(orders.hold(True, note or None))

    def stop_all(self) -> None:
        self._later(self._stop_all())

    async def _stop_all(self) -> None:
        from tui.screens.dialogs import TypedDialog

        asked = confirmations.stop_all(self.control.store.counts)
        if await self.control.textual.push_screen_wait(TypedDialog(asked, "stop all")):
            self.control.place_order(orders.say("stop all", None, self.control.new_key()))

    # -- going about ----------------------------------------------------------------------

    def palette(self) -> None:
        self._later(self._palette())

    async def _palette(self) -> None:
        from textual.command import CommandPalette

        from tui.commands import MeshCommands

        palette = CommandPalette(
            [MeshCommands], placeholder="A command, #task, node or text to send …"
        )
        async with self._moving:  # it looks for the screen below it while it is mounted
            await self.control.textual.push_screen(palette)

    def theme(self) -> None:
        app = self.control.textual
        app.theme = themes.other(app.theme)

    def help(self) -> None:
        from tui.screens.help import HelpDialog

        place = self._screen.place if self._screen else "dashboard"
        self.control.textual.push_screen(HelpDialog(place, self.control.remapped))

    def quit(self) -> None:
        self.control.textual.exit()

    def back(self) -> None:
        if self._screen is not None:
            self._screen.go_back()

    def go_dashboard(self) -> None:
        self._later(self._switch("dashboard"))

    def go_approvals(self) -> None:
        self._later(self._switch("approvals"))

    def show_approval(self, ref: Ref) -> None:
        self._later(self._show_approval(ref))

    async def _show_approval(self, ref: Ref) -> None:
        from tui.screens.approvals import ApprovalsScreen

        await self._switch("approvals")
        if isinstance(self._screen, ApprovalsScreen):
            self._screen.select(ref)

    def show_account(self, name: str) -> None:
        """An account is seen on one of its nodes."""
        account = self.control.store.folded.accounts.get(name) or Account(name=name)
        nodes = [n for n in self.control.store.nodes() if account.concerns(n.login, n.name)]
        if nodes:
            self.control.open(Ref("node", nodes[0].name))
        else:
            self.control.tell(f"No node uses the account {name} now.")

    def go_costs(self) -> None:
        self._later(self._switch("costs"))

    def go_conversation(self) -> None:
        self._later(self._switch("conversation"))

    def go_events(self) -> None:
        self._later(self._switch("events"))

    async def _switch(self, mode: str) -> None:
        app = self.control.textual
        async with self._moving:
            while len(app.screen_stack) > 1:
                await app.pop_screen()
            if app.current_mode != mode:
                await app.switch_mode(mode)

    # -- how ------------------------------------------------------------------------------

    def _now(self) -> float:
        return self.control.store.now(self.control.clock.now())

    def _unmark(self) -> None:
        if self._screen is not None:
            self._screen.unmark()

    async def _ask(self, asked: confirmations.Asking) -> bool:
        from tui.screens.dialogs import ConfirmDialog

        answer = await self.control.textual.push_screen_wait(ConfirmDialog(asked))
        return answer is True

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        """In a worker, because it waits for a dialog."""
        self._number += 1
        self.control.textual.run_worker(work, name="verb", group=f"verb-{self._number}")
