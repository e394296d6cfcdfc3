"""A question in full: what will run letter by letter, where, how risky, who can answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo

from common.wire.approvals import Approval, ApprovalKind, ApprovalState, Risk
from tui.state.cells import Cell, Column, Piece, Role, Row, cell
from tui.state.measures import age, moment, since
from tui.state.plain import exposed, one_line
from tui.state.preview import fact
from tui.state.store import Store

COLUMNS = (
    Column("code", width=4),
    Column("state", width=11),
    Column("task", width=5, right=True),
    Column("question", 0),
    Column("age", width=5, right=True),
)
_LOOKS = {
    ApprovalState.PENDING: ("?", Role.ASK),
    ApprovalState.APPROVED: ("✓", Role.OK),
    ApprovalState.DENIED: ("⊖", Role.MUTED),
    ApprovalState.WITHDRAWN: ("⊘", Role.MUTED),
}
_KINDS = {
    ApprovalKind.GATE: "the whole task waits for a yes before it first runs",
    ApprovalKind.TOOL: "a running attempt wants to use a tool that nothing allows",
    ApprovalKind.QUESTION: "a running attempt asks its owner",
    ApprovalKind.BUDGET: "the day's cap is reached; a yes lifts it for today",
}


def ordered(store: Store) -> list[int]:
    """Pending ones first, risky before others, older first; then the answered, newest first."""
    approvals = store.folded.approvals.values()
    pending = [a for a in approvals if a.state is ApprovalState.PENDING]
    pending.sort(key=lambda a: (a.risk is not Risk.HIGH, a.asked_at, a.id))
    rest = [a for a in approvals if a.state is not ApprovalState.PENDING]
    rest.sort(key=lambda a: (a.answered_at or a.asked_at, a.id), reverse=True)
    return [a.id for a in (*pending, *rest)]


def approval_row(approval: Approval, now: float, *, mark: str = "") -> Row:
    glyph, role = _LOOKS[approval.state]
    pending = approval.state is ApprovalState.PENDING
    risky = pending and approval.risk is Risk.HIGH
    state: Cell = (
        (Piece(mark, Role.WARN),) if mark
        else (Piece("! high risk", Role.BAD),) if risky
        else (Piece(f"{glyph} {approval.state}", role),)
    )  # fmt: skip
    return (
        cell(approval.code, Role.STRONG if pending else Role.MUTED),
        state,
        cell(f"#{approval.task_id}" if approval.task_id else "", Role.MUTED),
        cell(approval.summary, Role.PLAIN if pending else Role.MUTED),
        cell(age(since(approval.asked_at, now)), Role.MUTED),
    )


def approval_page(
    store: Store, approval: Approval, now: float, zone: tzinfo | None
) -> Iterator[Cell]:
    """The card beside the list."""
    glyph, role = _LOOKS[approval.state]
    risky = approval.risk is Risk.HIGH
    yield (
        Piece(f"{approval.code}  ", Role.STRONG),
        Piece(f"{glyph} {approval.state}", role),
        Piece("  ! high risk" if risky else "", Role.BAD),
    )
    yield cell(approval.summary, Role.STRONG)
    yield ()
    yield cell("Exactly this" if approval.kind != "question" else "In full", Role.ACCENT)
    bar = Role.BAD if risky else Role.ASK
    for line in exposed(approval.detail or approval.summary):
        yield (Piece("▎ ", bar), Piece(line))
    for number, choice in enumerate(approval.choices, start=1):
        yield (Piece(f"{number}  ", Role.FAINT), *cell(choice))
    yield ()
    yield from _facts(store, approval, now, zone)
    yield ()
    yield from _answered(approval, now, zone)


def _facts(store: Store, approval: Approval, now: float, zone: tzinfo | None) -> Iterator[Cell]:
    yield fact("kind", _KINDS[approval.kind], Role.MUTED)
    if approval.task_id:
        task = store.folded.tasks.get(approval.task_id)
        yield fact("task", f"#{approval.task_id} {task.title if task else ''}")
        if task and task.specialist:
            yield fact("specialist", f"@{task.specialist}")
        if task and task.project:
            yield fact("project", task.project + (f"@{task.branch}" if task.branch else ""))
    if approval.grantable:
        yield fact("for all", ", ".join(approval.rules) or "this one call")
    if approval.node:
        yield fact("node", approval.node)
    yield fact("asked", f"{moment(approval.asked_at, now, zone)}")
    if approval.digest:
        yield fact("digest", f"{approval.digest[:16]}…", Role.FAINT)


def _keys(approval: Approval) -> str:
    for_all = " · A also for the rest of the task" if approval.grantable else ""
    return f"y approves{for_all} · n denies with a note"


def _answered(approval: Approval, now: float, zone: tzinfo | None) -> Iterator[Cell]:
    if approval.state is ApprovalState.PENDING:
        yield cell(_keys(approval), Role.ACCENT)
        yield cell(
            "Anybody may answer who holds an operator token, or whose handle the bridge "
            f"allows (y {approval.code}). The first answer counts.",
            Role.MUTED,
        )
        return
    by = f" by {one_line(approval.answered_by)}" if approval.answered_by else ""
    via = f", {one_line(approval.answered_via)}" if approval.answered_via else ""
    when = f" at {moment(approval.answered_at, now, zone)}" if approval.answered_at else ""
    yield cell(f"{approval.state}{by}{via}{when}")
    for text in (approval.answer, approval.note):
        if text:
            yield cell(f"“{text}”", Role.MUTED)
