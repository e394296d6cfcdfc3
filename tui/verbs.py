"""The verbs of the key table: each finds what is selected, asks once where it must, and orders."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from textual.worker import Worker, get_current_worker

from common.wire.approvals import Approval, ApprovalKind, Decision, Reach, Risk
from common.wire.nodes import Account, AccountState, BreakerState, Node
from common.wire.tasks import LIVE_STATES, TERMINAL_STATES, Task, TaskState
from tui import orders, themes
from tui.control import Control
from tui.gate import TOGETHER
from tui.keys import BY_ID
from tui.orders import Order
from tui.state import confirmations
from tui.state.needs import needs
from tui.state.nodes import account_troubles
from tui.state.store import Ref
from tui.state.tasks import may_move, waits_for_node

if TYPE_CHECKING:
    from textual.screen import Screen

    from tui.screens.base import MeshScreen

R = TypeVar("R")

WITHOUT_HUB = frozenset({"help", "quit", "theme", "back"})


class Verbs:
    """`run` does what a key, a click or the palette asks for."""

    def __init__(self, control: Control) -> None:
        self.control = control
        self._number = 0
        self._moving = asyncio.Lock()
        self._unsent: dict[int | None, str] = {}
        self._opening: set[Worker[None]] = set()

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
        approval = self._approval(screen)
        if approval:
            found |= {"approve", "deny"} | ({"approve_all"} if approval.grantable else set())
        tasks = self._tasks(screen)
        if any(task.grants and task.state not in TERMINAL_STATES for task in tasks):
            found.add("revoke")
        if any(task.state not in TERMINAL_STATES for task in tasks):
            found |= {"cancel", "why"}
        if any(task.state in TERMINAL_STATES for task in tasks):
            found |= {"retry", "continue"}
        elif len(tasks) == 1 and waits_for_node(tasks[0]):
            found.add("retry")
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
            self._decide(lambda: self._approve(approval))

    def _approve(self, approval: Approval, scope: Reach = Reach.ONCE) -> None:
        """What was shown when the key was pressed, if it still waits."""
        if approval.id in self.control.store.pending:
            self.control.place_order(orders.answer(approval, Decision.APPROVE, scope=scope))
        else:
            self.control.tell(f"{approval.code} has been answered in the meantime.")

    def approve_all(self) -> None:
        """Also for its like in the rest of the task; the hub has the last word on what may be."""
        approval = self._approval(self._screen)
        if approval is None:
            self.control.tell("Nothing to approve here: select a question under Needs you.")
        elif not approval.grantable:
            self.control.tell(f"{approval.code} can only be answered once: y.")
        else:
            self._decide(lambda: self._approve(approval, Reach.TASK))

    def revoke(self) -> None:
        held = [task for task in self._tasks(self._screen) if task.grants]
        if not held:
            self.control.tell("Nothing was allowed for the rest of a task here.")
        for task in held:
            self.control.place_order(orders.revoke(task))

    def deny(self) -> None:
        approval = self._approval(self._screen)
        if approval is None:
            self.control.tell("Nothing to deny here: select a question under Needs you.")
        else:
            self._later(self._deny(approval))

    async def _choose(self, approval: Approval) -> None:
        from tui.screens.dialogs import ChoiceDialog

        choice = await self._answer_to(ChoiceDialog(approval))
        if choice:
            self.control.place_order(orders.answer(approval, Decision.APPROVE, choice=choice))

    async def _approve_risky(self, approval: Approval) -> None:
        from tui.screens.dialogs import TypedDialog

        asked = confirmations.risky(approval)
        if await self._answer_to(TypedDialog(asked, approval.code)):
            self.control.place_order(orders.answer(approval, Decision.APPROVE))

    async def _deny(self, approval: Approval) -> None:
        from tui.screens.dialogs import NoteDialog

        note = await self._answer_to(NoteDialog(confirmations.deny(approval)))
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
        body = await self._answer_to(dialog)
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
        selected = self._tasks(self._screen)
        tasks = [t for t in selected if t.state in TERMINAL_STATES]
        if not tasks and len(selected) == 1 and may_move(selected[0]):
            self._retry_unfinished(selected[0])
        elif not tasks:
            self.control.tell("Nothing to retry here: select a finished task.")
        elif len(tasks) == 1:
            self._decide(partial(self._retry_one, tasks[0]))
        else:
            self._later(self._retry(tasks))

    def _retry_one(self, task: Task) -> None:
        self.control.place_order(orders.retry(task, self.control.new_key()))

    def _retry_unfinished(self, task: Task) -> None:
        if task.state is TaskState.NEEDS_ATTENTION:
            self._decide(partial(self._retry_one, task))
        else:
            self._later(self._move(task))

    async def _move(self, task: Task) -> None:
        if await self._ask(confirmations.move(task)):
            self.control.place_order(orders.move(task, self.control.new_key()))

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

    def say(self, text: str, chat: str | None) -> Order | None:
        """The order to take `text` as if it came by message; None when its line was not yet to be
        seen when enter was pressed."""
        if not self.control.gate.stood():
            self.control.tell(TOGETHER)
            return None
        return orders.say(text, chat, self.control.new_key())

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
        note = await self._answer_to(NoteDialog(asked))
        if note is not None:
            self.control.place_order(orders.drain(node, note or None))

    def resume(self) -> None:
        node, account = self._node(self._screen), self._paused_account(self._screen)
        if node is not None and node.draining:
            self._decide(lambda: self.control.place_order(orders.resume(node.name)))
        elif account is not None:
            self._decide(lambda: self.control.place_order(orders.resume_account(account)))
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
            self._decide(lambda: self.control.place_order(orders.hold(False)))
        else:
            self._later(self._hold())

    async def _hold(self) -> None:
        from tui.screens.dialogs import NoteDialog

        counts = self.control.store.counts
        asked = confirmations.hold(sum(counts[state] for state in LIVE_STATES))
        note = await self._answer_to(NoteDialog(asked))
        if note is not None:
            self.control.place_order(orders.hold(True, note or None))

    def stop_all(self) -> None:
        self._later(self._stop_all())

    async def _stop_all(self) -> None:
        from tui.screens.dialogs import TypedDialog

        asked = confirmations.stop_all(self.control.store.counts)
        if await self._answer_to(TypedDialog(asked, "stop all")):
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

        return await self._answer_to(ConfirmDialog(asked)) is True

    # -- keys -----------------------------------------------------------------------------

    @property
    def opening(self) -> bool:
        """Whether a screen was asked for that is not pushed yet."""
        return bool(self._opening)

    def subject_shown(self) -> Hashable:
        """What a deciding key would answer now; another question under the same line differs."""
        from textual.command import CommandPalette

        from tui.screens.base import MeshScreen

        stack = self.control.textual.screen_stack
        if stack and isinstance(stack[-1], CommandPalette):
            stack = stack[:-1]
        screen = stack[-1] if stack else None
        if not isinstance(screen, MeshScreen) or not screen.is_mounted:
            return None
        approval = self._approval(screen)
        return screen.subject(), approval and (approval.id, approval.digest)

    def _decide(self, act: Callable[[], None]) -> None:
        """Do what needs no second question, if the key for it was meant: see `tui.state.typing`."""
        if not self.control.gate.stood():
            self.control.tell(TOGETHER)
        elif self.control.gate.surely_alone:
            act()
        else:
            self.control.textual.run_worker(self._when_alone(act), name="decide", group="decide")

    async def _when_alone(self, act: Callable[[], None]) -> None:
        if await self.control.gate.alone():
            act()
        else:
            self.control.tell(TOGETHER)

    async def _answer_to(self, dialog: Screen[R]) -> R | None:
        """Push a dialog and wait for its answer; keys wait only until it is on the screen."""
        answer = self.control.textual.push_screen(dialog, wait_for_dismiss=True)
        self._opening.discard(get_current_worker())
        return await asyncio.shield(answer)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        """In a worker, because it waits for a dialog."""
        self._number += 1
        worker = self.control.textual.run_worker(
            self._tracked(work), name="verb", group=f"verb-{self._number}"
        )
        self._opening.add(worker)

    async def _tracked(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        finally:
            self._opening.discard(get_current_worker())
