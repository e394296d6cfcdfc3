"""What the hub texts back: a verdict line with the task's id, time, cost and node, then a little.

Plain text. What came from a task or a person is stripped of control and direction marks before
it is sent on.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import msgspec

from common.asking import question_of
from common.costs import cost_words, unknown_words
from common.wire.admin import CostRow, Hold, Spend
from common.wire.approvals import ApprovalKind, Decision, Reach, Risk
from common.wire.nodes import AccountState, BreakerState
from common.wire.notices import Notice
from common.wire.tasks import TERMINAL_STATES, TaskState
from hubd.domain import accounts
from hubd.domain.approvals import Refused
from hubd.domain.dispatch import NEXT, is_fresh
from hubd.domain.records import AccountRecord, ApprovalRecord, NodeRecord, TaskRecord

SHOWN_LINES = 6
SHOWN_CHARS = 600
DETAIL_LINES = 14
DETAIL_CHARS = 900
MORE_CHARS = 2500
SHOWN_NOTICES = 3

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]"
)


def clean(text: str) -> str:
    """Without control characters, zero-width characters and direction marks; tabs and line ends
    stay."""
    return _UNSAFE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def mask_codes(text: str, live: Collection[str]) -> str:
    """Task output may not put a live approval code into the reader's hands as if it were ours."""
    for code in live:
        text = re.sub(rf"(?i)\b(y|n|yes|no)\s+{re.escape(code)}\b", r"\1 ··", text)
    return text


def duration(seconds: float) -> str:
    """`8s`, `6m`, `1h 20m`, `2d 3h`."""
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m"
    if whole < 86_400:
        hours, minutes = whole // 3600, whole % 3600 // 60
        return f"{hours}h {minutes}m" if minutes else f"{hours}h"
    return f"{whole // 86_400}d {whole % 86_400 // 3600}h"


def dollars(usd: float) -> str:
    return f"${usd:.2f}" if usd >= 0.01 or usd == 0 else f"${usd:.4f}"


def beginning(text: str, lines: int = SHOWN_LINES, chars: int = SHOWN_CHARS) -> str:
    """The first lines of a text, cut at a line or, failing that, at a word."""
    head = "\n".join(text.strip().splitlines()[:lines])
    if len(head) <= chars:
        return head
    cut = head[:chars]
    space = max(cut.rfind(" "), cut.rfind("\n"))
    return cut[:space] if space > chars // 2 else cut


def summary_of(text: str) -> str:
    """What a list shows of a result."""
    return beginning(clean(text), lines=3, chars=280)


def figures(task: TaskRecord) -> str:
    """`6m · $0.41 · archon`, as far as known."""
    parts: list[str] = []
    if task.started_at is not None and task.finished_at is not None:
        parts.append(duration(task.finished_at - task.started_at))
    if task.unknown_costs or task.cost_usd:
        words = cost_words(task.cost_usd, task.unknown_costs, dollars)
        parts.append(words if task.cost_usd else f"cost {words}")
    node = task.node or task.last_node
    if node:
        parts.append(node)
    return " · ".join(parts)


def final(task: TaskRecord, text: str, *, by: str | None = None) -> tuple[str, int]:
    """The reply that ends a task, and how many characters of `text` it showed."""
    verdict = _verdict(task, by)
    if task.state is not TaskState.SUCCEEDED:
        return verdict, 0
    body = clean(text).strip()
    head = beginning(body)
    if not head:
        return f"{verdict}\nIt said nothing.", 0
    rest = f"\nmore {task.id} for the rest" if len(head) < len(body) else ""
    return f"{verdict}\n{head}{rest}", len(head)


def caveats(task: TaskRecord) -> str:
    """`, but tickets (MCP) was missing`: what makes its answer less than a whole one."""
    if task.notices == "[]":
        return ""
    said = [clean(item.text) for item in msgspec.json.decode(task.notices, type=list[Notice])]
    more = f"; and {len(said) - SHOWN_NOTICES} more" if len(said) > SHOWN_NOTICES else ""
    return f", but {'; '.join(said[:SHOWN_NOTICES])}{more}"


def _verdict(task: TaskRecord, by: str | None) -> str:
    known = figures(task)
    tail = f" · {known}" if known else ""
    match task.state:
        case TaskState.SUCCEEDED if task.cancel_raced:
            return f"#{task.id} done before the stop reached it{caveats(task)}{tail}"
        case TaskState.SUCCEEDED:
            return f"#{task.id} done{caveats(task)}{tail}"
        case TaskState.CANCELLED if task.error == "kill_unconfirmed":
            return f"#{task.id} stopped, though {task.last_node} did not confirm it{tail}"
        case TaskState.CANCELLED:
            return f"#{task.id} stopped{tail}"
        case TaskState.DENIED:
            return f"#{task.id} not run: {by or 'you'} said no"
        case _:
            why = beginning(clean(task.error or task.outcome or "no reason given"), 3, 300)
            return f"#{task.id} failed{tail}: {why}\nretry {task.id} runs it again"


def accepted(task: TaskRecord, ahead: int, would_run_on: str | None, obstacle: str) -> str:
    """The answer to a new task: where it goes, or its place and what it waits for."""
    to = f" to @{task.specialist}" if task.specialist else ""
    if would_run_on is not None and ahead == 0:
        return f"#{task.id} taken{to}: {would_run_on} has room."
    place = "next in line" if ahead == 0 else f"{ahead} ahead"
    # Where a node has room the obstacle is only that others go first.
    why = "" if obstacle == NEXT else f": {obstacle}"
    return f"#{task.id} queued{to}, {place}{why}."


def waits_notice(task: TaskRecord, words: str, *, moved: bool) -> str:
    """That work waits for its node, and how its owner can have it sooner."""
    hint = "" if moved else f" retry {task.id} elsewhere moves it."
    return f"#{task.id} {words}.{hint}"


def starts_elsewhere(task: TaskRecord, node: str, before: str) -> str:
    """That a task begins again on another machine, and where its half-done work is."""
    return (
        f"#{task.id} starts again on {node}. What it had done on {before} is on {before} only, in "
        "its work folder."
    )


def asks_to_continue(task: TaskRecord) -> str:
    """What a task says that stopped to ask whether it shall go on."""
    known = figures(task)
    tail = f" ({known})" if known else ""
    return (
        f"#{task.id} stopped to ask{tail}: {clean(task.wait_reason or 'shall it continue?')}\n"
        f"retry {task.id} continues where it was, stop {task.id} ends it."
    )


def question(approval: ApprovalRecord, *, offers_all: bool = False) -> str:
    """The bubble that asks. Built from the record's own fields only."""
    about = f"#{approval.task_id} " if approval.task_id is not None else ""
    where = f" on {approval.node}" if approval.node else ""
    opening = {
        ApprovalKind.GATE: f"{about}waits for your yes: ",
        ApprovalKind.TOOL: f"{about}{where.strip() + ' ' if where else ''}wants to use ",
        ApprovalKind.QUESTION: f"{about}asks: ",
        ApprovalKind.BUDGET: "",
    }[approval.kind]
    lines = [opening + clean(approval.summary)]
    lines += choice_lines(approval) if approval.choices else _detail_lines(approval)
    lines.append(how_to_answer(approval))
    if offers_all:
        what = f": {clean(', '.join(approval.rules))}" if approval.rules else ""
        lines.append(f"y {approval.code} all: also the rest of this task{what}")
    return "\n".join(lines)


def _detail_lines(approval: ApprovalRecord) -> list[str]:
    """What the question is about, unless its first line says all of it."""
    detail = clean(approval.detail).strip("\n")
    told = detail.partition(": ")[2] if "\n" not in detail else detail
    if not detail or told in clean(approval.summary):
        return []
    shown = beginning(detail, DETAIL_LINES, DETAIL_CHARS)
    rest = detail.count("\n") - shown.count("\n")
    return [shown, f"({rest} more lines: see them in mesh-tui)"] if rest else [shown]


def choice_lines(approval: ApprovalRecord) -> list[str]:
    """The choices with their numbers, and what each means where its run said so."""
    meant = clean(approval.detail).split("\n")
    choices = [clean(choice) for choice in approval.choices]
    if len(meant) == len(choices) and all(map(str.startswith, meant, choices)):
        choices = meant
    return [f"  {n}. {choice}" for n, choice in enumerate(choices, 1)]


def how_to_answer(approval: ApprovalRecord) -> str:
    code = approval.code
    if approval.kind is ApprovalKind.QUESTION:
        return f"Reply to this bubble, or: y {code} <answer>. n {code} to decline."
    if approval.risk is Risk.HIGH:
        return f"High risk, so with its code: y {code} or n {code}."
    return f"y {code} or n {code}, or 👍 / 👎 here."


def answered(approval: ApprovalRecord) -> str:
    """The second to answer is told who was first."""
    about = f"#{approval.task_id} " if approval.task_id is not None else ""
    word = {"approved": "approved", "denied": "denied"}.get(approval.state, "withdrawn")
    by = f" by {approval.answered_by}" if approval.answered_by else ""
    via = f" ({approval.answered_via})" if approval.answered_via else ""
    return f"{about}{approval.code} was already {word}{by}{via}."


def decided(approval: ApprovalRecord, decision: Decision) -> str:
    """The acknowledgement of an answer."""
    about = f"#{approval.task_id} " if approval.task_id is not None else ""
    if approval.kind is ApprovalKind.BUDGET:
        yes = decision is Decision.APPROVE
        return "Going on for today." if yes else "Nothing new starts until tomorrow."
    if approval.kind is ApprovalKind.QUESTION and decision is Decision.APPROVE:
        return f"{about}has your answer."
    if approval.scope is Reach.TASK:
        what = beginning(clean(", ".join(approval.rules) or approval.summary), 1, 100)
        return (
            f"{about}approved for the rest of the task: {what}. revoke {approval.task_id} ends it."
        )
    return f"{about}{'approved' if decision is Decision.APPROVE else 'denied'} ({approval.code})."


def not_decided(refused: Refused, pending: Sequence[ApprovalRecord]) -> str:
    """Why an answer decided nothing; lists what waits."""
    listed = pending_list(pending)
    match refused:
        case Refused.NONE_PENDING:
            return "Nothing waits for an answer."
        case Refused.SEVERAL_PENDING:
            return f"Which one?\n{listed}"
        case Refused.NOT_ASKED_YET:
            return f"No question was here before that: which one?\n{listed}"
        case Refused.NEEDS_CODE:
            return f"That one is high risk and needs its code.\n{listed}"
        case Refused.UNKNOWN_CODE:
            return f"I know no question with that code.\n{listed}".rstrip()
        case Refused.ALREADY_ANSWERED:
            return "That was already answered."


def lost(names: Sequence[str]) -> str:
    """What a run is told of files it will not find."""
    return f"Sent with this, but did not arrive: {clean(', '.join(names))}."


def nothing_came(names: Sequence[str]) -> str:
    return f"{clean(', '.join(names))} did not arrive, so nothing runs yet. Send it again."


def unclear_reaction(approval: ApprovalRecord, reaction: str) -> str:
    """A reaction that may mean anything decides nothing, and its author is not left waiting."""
    about = f"#{approval.task_id} " if approval.task_id is not None else ""
    code = approval.code
    return f"{about}Does {reaction} mean yes? Reply y {code} or n {code}."


def pending_list(pending: Sequence[ApprovalRecord]) -> str:
    if not pending:
        return "Nothing waits for an answer."
    lines = []
    for approval in pending:
        about = f"#{approval.task_id} " if approval.task_id is not None else ""
        risk = " (high risk)" if approval.risk is Risk.HIGH else ""
        lines.append(f"{approval.code}: {about}{beginning(clean(approval.summary), 1, 100)}{risk}")
        lines += choice_lines(approval)
    return "\n".join(lines)


_WORDS = {
    TaskState.QUEUED: "waits",
    TaskState.WAITING_APPROVAL: "waits for your yes",
    TaskState.NEEDS_ATTENTION: "needs you",
    TaskState.LEASED: "starting",
    TaskState.RUNNING: "running",
    TaskState.CANCELLING: "stopping",
    TaskState.UNKNOWN: "out of touch",
    TaskState.SUCCEEDED: "done",
    TaskState.FAILED: "failed",
    TaskState.CANCELLED: "stopped",
    TaskState.DENIED: "denied",
}


def task_line(task: TaskRecord, now: float, pending: Sequence[ApprovalRecord] = ()) -> str:
    """One task in one line; `pending` are the questions that wait for an answer."""
    where = f" on {task.node}" if task.node else ""
    since = task.started_at if task.node and task.started_at else task.created_at
    ended = task.finished_at
    age = duration((ended if ended is not None else now) - since)
    reason = f" ({task.wait_reason})" if task.wait_reason else ""
    title = beginning(clean(task.title), 1, 60)
    word = _WORDS[task.state]
    if task.state is TaskState.SUCCEEDED and task.notices != "[]":
        word = "done in part"
    if (code := question_of(task, pending)) is not None:
        word = f"asks you ({code})"
    return f"#{task.id} {word}{where} {age}{reason}: {title}"


def task_text(
    task: TaskRecord, result: str | None, now: float, pending: Sequence[ApprovalRecord] = ()
) -> str:
    """`#42`: one task and how to go on from it."""
    lines = [task_line(task, now, pending)]
    known = figures(task)
    if known:
        lines.append(known)
    if task.state is TaskState.SUCCEEDED and (but := caveats(task)):
        lines.append(but.removeprefix(", "))
    if task.error and task.state is not TaskState.SUCCEEDED:
        lines.append(beginning(clean(task.error), 3, 300))
    if task.grants and task.state not in TERMINAL_STATES:
        allowed = beginning(clean("; ".join(grant.what for grant in task.grants)), 1, 200)
        lines.append(f"allowed for all of it: {allowed} (revoke {task.id})")
    if task.summary:
        lines.append(clean(task.summary))
        if result is not None and clean(result).strip() != task.summary.strip():
            lines.append(f"more {task.id} for the rest")
    return "\n".join(lines)


def task_list(
    tasks: Sequence[TaskRecord], now: float, total: int, pending: Sequence[ApprovalRecord] = ()
) -> str:
    if not tasks:
        return "Nothing is waiting or running."
    lines = [task_line(task, now, pending) for task in tasks]
    if total > len(tasks):
        lines.append(f"and {total - len(tasks)} more")
    return "\n".join(lines)


def status(
    counts: dict[TaskState, int],
    nodes: Sequence[NodeRecord],
    busy: dict[str, int],
    open_breakers: Collection[str],
    pending: Sequence[ApprovalRecord],
    spend: Spend,
    hold: Hold,
    troubled: Sequence[AccountRecord],
    now: float,
    stale_after_s: float,
) -> str:
    """Everything in one bubble."""
    running = sum(busy.values())
    slots = sum(node.slots for node in nodes)
    lines = [
        f"{running} running of {slots} slots, {counts.get(TaskState.QUEUED, 0)} waiting, "
        f"{len(pending)} for you"
    ]
    if hold.on:
        lines.append("On hold" + (f": {clean(hold.reason)}" if hold.reason else "") + " (go)")
    for node in nodes:
        lines.append(node_line(node, busy.get(node.name, 0), open_breakers, now, stale_after_s))
    lines += [account_line(account, now) for account in troubled]
    lines.append(spend_line(spend))
    if pending:
        lines.append(pending_list(pending))
    return "\n".join(lines)


def node_line(
    node: NodeRecord,
    busy: int,
    open_breakers: Collection[str],
    now: float,
    stale_after_s: float,
) -> str:
    state = "ready"
    age_s = None if node.heartbeat_at is None else now - node.heartbeat_at
    if not is_fresh(age_s, stale_after_s):
        state = "away" if age_s is None else f"away for {duration(abs(age_s))}"
    elif node.draining:
        state = "draining" + (f" ({clean(node.drain_note)})" if node.drain_note else "")
    elif node.name in open_breakers:
        state = f"breaker open (reset {node.name})"
    elif not node.accepting:
        state = clean(node.not_accepting_reason or "takes no work now")
    return f"{node.name} {busy}/{node.slots} {state}"


def breaker_notice(node: str, reason: str, until_s: float, opens: int) -> str:
    return (
        f"{node} failed again ({beginning(clean(reason), 1, 150)}): its breaker is open for "
        f"{duration(until_s)}, opening {opens}. reset {node} closes it."
    )


def account_notice(account: AccountRecord, now: float) -> str:
    left = duration((account.paused_until or now) - now)
    reason = beginning(clean(account.reason or ""), 1, 150)
    if account.state is AccountState.BLOCKED and account.node is not None:
        return (
            f"{account.node} cannot use account {account.login} ({reason or 'logged out'}). "
            f"On {account.node}: unlock the keychain or run claude and /login. Other machines "
            f"work on; {account.node} tries again in {left}, or: mesh resume {account.name}"
        )
    if account.state is AccountState.BLOCKED:
        return (
            f"Account {account.login} needs a login ({reason or 'logged out'}). Log in on its "
            f"machines; one task tries it again in {left}, or: mesh resume {account.name}"
        )
    what = accounts.title(account)
    return f"{what[:1].upper()}{what[1:]} is paused for {left}: {reason or 'limit'}."


def account_line(account: AccountRecord, now: float) -> str:
    """A troubled account in one line of `status` and `nodes`."""
    what = accounts.title(account)
    state = "needs a login" if account.state is AccountState.BLOCKED else "paused"
    if account.probe_fence is not None:
        return f"{what} {state}, trying one task"
    if account.paused_until is None:
        return f"{what} {state}"
    left = duration(max(account.paused_until - now, 0.0))
    return f"{what} {state}, " + ("tries" if state != "paused" else "back") + f" in {left}"


def spend_line(spend: Spend) -> str:
    cap = f" of {dollars(spend.cap_usd)}" if spend.cap_usd else ""
    capped = ", cap reached: nothing new starts" if spend.capped else ""
    spent = cost_words(spend.cost_usd, spend.unknown_cost_attempts, dollars)
    runs = f", {dollars(spend.running_usd)} of it running" if spend.running_usd else ""
    return f"Today {spent}{cap}{unknown_words(spend.unknown_cost_attempts)}{runs}{capped}"


def cost_text(title: str, rows: Sequence[CostRow], total: CostRow) -> str:
    lines = [f"{title}: {_cost(total)}, {total.attempts} runs"]
    tokens_in = total.input_tokens + total.cache_read_tokens + total.cache_write_tokens
    lines.append(f"{compact(tokens_in)} tokens in, {compact(total.output_tokens)} out")
    if total.unknown_cost_attempts:
        lines.append(f"{total.unknown_cost_attempts} of unknown cost")
    lines += [f"{row.key or 'general'} {_cost(row)}" for row in rows[:6]]
    return "\n".join(lines)


def _cost(row: CostRow) -> str:
    return cost_words(row.cost_usd, row.unknown_cost_attempts, dollars)


def task_cost(task: TaskRecord, attempts: int) -> str:
    tokens_in = task.input_tokens + task.cache_read_tokens + task.cache_write_tokens
    return (
        f"#{task.id} cost {cost_words(task.cost_usd, task.unknown_costs, dollars)}: "
        f"{compact(tokens_in)} tokens in, "
        f"{compact(task.output_tokens)} out, {attempts} {'run' if attempts == 1 else 'runs'}"
    )


def compact(number: int) -> str:
    """`812`, `12.3k`, `4.1M`."""
    if number < 1000:
        return str(number)
    if number < 1_000_000:
        return f"{number / 1000:.1f}k"
    return f"{number / 1_000_000:.1f}M"


def agents_text(bench: dict[str, int]) -> str:
    """The bench, and on how many nodes each is."""
    if not bench:
        return "No node has registered specialists."
    return "@" + " @".join(sorted(bench))


def breaker_word(state: BreakerState) -> str:
    return state.value.replace("_", "-")
