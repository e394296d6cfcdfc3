"""Checks of the hub as it answers, and of what it says about the mesh."""

from __future__ import annotations

from cli.doctor.facts import Here, HubFacts
from cli.doctor.finding import Verdict, fail, ok, skip, warn
from cli.enroll.invitation import is_this_machine
from common.clock import to_epoch
from common.names import default_node_name
from common.version import VERSION
from common.wire.messages import MessageState
from common.wire.nodes import AccountState, BreakerState, Node
from common.wire.tasks import LIVE_STATES, Task, TaskState

CLOCK_S = 5.0
TLS_DAYS = 14.0
LATE_OUTBOX_S = 300.0
STUCK_S = 120.0
SILENT_BRIDGE_S = 120.0
LONG_QUEUE_S = 600.0


def _unknown(facts: HubFacts) -> Verdict:
    if facts.error is None and not facts.slow:
        return skip("not seen from here: that takes an operator's or a viewer's token")
    return skip("not known without the hub")


def hub(facts: HubFacts) -> Verdict:
    if facts.error is None and facts.slow:
        return warn(
            f"the hub at {facts.url} answers slowly", "mesh doctor --only hub; mesh logs hubd"
        )
    if facts.error is None:
        return ok(f"the hub answers at {facts.url}")
    if facts.code == "upgrade_required":
        return fail(facts.error, "git pull && make .venv/.ready, on the older machine")
    return fail(facts.error, "mesh up hubd (on the hub's machine); mesh config show --origin")


def tls(facts: HubFacts) -> Verdict:
    if not facts.tls and not is_this_machine(facts.url):
        return fail(
            f"{facts.url} is not https: tokens and texts can be read on their way",
            "set hub.url to an https address (docs/DEPLOY.md), or mesh join again",
        )
    if not facts.tls:
        return ok("not needed: the hub is on this machine")
    if not facts.pin_matches:
        return fail(
            "hub.pin and hub-cert.pem do not belong together",
            "mesh invite (on the hub), mesh join (here)",
        )
    if facts.tls_days_left is None:
        return _unknown(facts)
    days = f"{facts.tls_days_left:.0f} days"
    if facts.tls_days_left < TLS_DAYS:
        remedy = (
            "renew it on the hub, then mesh invite there and mesh join here"
            if facts.pinned
            else "see why it is not renewed: docs/DEPLOY.md"
        )
        return warn(f"the hub's certificate ends in {days}", remedy)
    return ok(f"the hub's certificate is good for {days}{', pinned' if facts.pinned else ''}")


def token(facts: HubFacts) -> Verdict:
    for found in facts.tokens:
        name = f" --name {found.file.removeprefix('node-').removesuffix('.token')}"
        issue = f"mesh token new --role {found.role}{name if found.role == 'node' else ''}"
        if found.problem is not None:
            return fail(found.problem, f"(on the hub) {issue}, into that file; or mesh join")
        if found.good is False:
            return fail(f"{found.file}: {found.answer}", f"(on the hub) {issue}, into that file")
    if not facts.tokens:
        return fail("this machine has no token", "mesh join, or on the hub's machine mesh init")
    if any(found.good is None for found in facts.tokens):
        return _unknown(facts)
    return ok(f"good: {', '.join(found.file for found in facts.tokens)}")


def clock(facts: HubFacts) -> Verdict:
    if facts.offset_s is None:
        return _unknown(facts)
    if abs(facts.offset_s) > CLOCK_S + facts.certain_s:
        ahead = "behind" if facts.offset_s > 0 else "ahead of"
        return warn(
            f"this machine's clock is {abs(facts.offset_s):.0f} s {ahead} the hub's; the mesh "
            "does not mind, but what the screens say about ages will be off",
            "sudo sntp -sS time.apple.com (macOS), sudo timedatectl set-ntp true (Linux)",
        )
    return ok(f"within {max(abs(facts.offset_s), facts.certain_s):.1f} s of the hub's clock")


def version(facts: HubFacts) -> Verdict:
    if facts.snapshot is None:
        return _unknown(facts)
    if facts.snapshot.hub.version != VERSION:
        return warn(
            f"this is {VERSION}, the hub is {facts.snapshot.hub.version}",
            "git pull && make .venv/.ready on the older one, the hub first; then mesh restart",
        )
    return ok(f"{VERSION}, as the hub")


def own_node(here: Here, facts: HubFacts) -> Verdict:
    if facts.snapshot is None or here.config is None:
        return _unknown(facts)
    name = here.config.agent.name or default_node_name()
    for node in facts.snapshot.nodes:
        if node.name == name:
            break
    else:
        return fail(f"the hub has never heard of {name}", "mesh up agentd; mesh logs agentd")
    at = to_epoch(facts.snapshot.at)
    seen = None if node.last_heartbeat_at is None else at - to_epoch(node.last_heartbeat_at)
    if seen is None or seen > facts.snapshot.hub.stale_after_s:
        ago = "never" if seen is None else f"{seen:.0f} s ago"
        return fail(f"{name} last reported {ago}", "mesh restart agentd; mesh logs agentd")
    if node.draining:
        return warn(f"{name} drains: it takes no work", f"mesh undrain {name}")
    if not node.accepting:
        return warn(f"{name} takes no work{why_not(node)}", "mesh logs agentd")
    return ok(f"{name} reported {max(seen, 0):.0f} s ago")


def why_not(node: Node) -> str:
    """What a node that takes no work gave as its reason."""
    return f": {node.not_accepting_reason}" if node.not_accepting_reason else ""


def stuck(facts: HubFacts) -> Verdict:
    if facts.snapshot is None:
        return _unknown(facts)
    at = to_epoch(facts.snapshot.at)
    overdue = [
        task
        for task in facts.snapshot.tasks
        if task.state in LIVE_STATES
        and (task.lease_until is None or at - to_epoch(task.lease_until) > STUCK_S)
    ]
    if overdue:
        return fail(
            f"{_ids(overdue)} hold a slot though nobody renews their lease",
            f"mesh why {overdue[0].id}; mesh restart hubd",
        )
    silent = [task for task in facts.snapshot.tasks if task.state is TaskState.UNKNOWN]
    if silent:
        return warn(
            f"nothing is heard of {_ids(silent)}: their node is silent",
            f"mesh doctor --fleet; mesh show {silent[0].id}",
        )
    waiting = [t for t in facts.snapshot.tasks if t.state is TaskState.NEEDS_ATTENTION]
    if waiting:
        return warn(f"{_ids(waiting)} need a decision", f"mesh show {waiting[0].id}")
    return ok("no task is stuck")


def _ids(tasks: list[Task]) -> str:
    shown = ", ".join(f"#{task.id}" for task in tasks[:5])
    return shown + (f" and {len(tasks) - 5} more" if len(tasks) > 5 else "")


def queue(facts: HubFacts) -> Verdict:
    if facts.snapshot is None:
        return _unknown(facts)
    if facts.snapshot.hold.on:
        return warn("dispatch is on hold: nothing new starts", "mesh go")
    if facts.snapshot.spend.capped:
        return warn("the day's budget is spent: nothing new starts", "mesh pending; mesh cost")
    at = to_epoch(facts.snapshot.at)
    late = [
        task
        for task in facts.snapshot.tasks
        if task.state is TaskState.QUEUED
        and (task.not_before is None or to_epoch(task.not_before) < at)
        and at - to_epoch(task.updated_at) > LONG_QUEUE_S
    ]
    if late:
        return warn(f"{_ids(late)} wait for a slot for long", f"mesh why {late[0].id}")
    return ok("nothing waits for long")


def outbox(facts: HubFacts) -> Verdict:
    if facts.snapshot is None:
        return _unknown(facts)
    at = to_epoch(facts.snapshot.at)
    unsent = [
        at - to_epoch(message.at)
        for message in facts.snapshot.messages
        if message.state in (MessageState.PENDING, MessageState.SENDING)
    ]
    if unsent and max(unsent) > LATE_OUTBOX_S:
        return fail(
            f"{len(unsent)} replies are not sent, the oldest for {max(unsent) / 60:.0f} min",
            "mesh up imsgd (on the Mac with Messages); mesh logs imsgd",
        )
    doubtful = [m for m in facts.snapshot.messages if m.state in _DOUBTFUL]
    if doubtful:
        return warn(
            f"{len(doubtful)} replies may not have arrived: {doubtful[-1].error or 'no answer'}",
            "mesh logs imsgd; see the conversation in mesh-tui",
        )
    return ok(f"{len(unsent)} replies wait to be sent" if unsent else "every reply was sent")


_DOUBTFUL = (MessageState.FAILED, MessageState.UNKNOWN)


def bridge(here: Here, facts: HubFacts) -> Verdict:
    if facts.snapshot is None:
        return _unknown(facts)
    found, at = facts.snapshot.bridge, to_epoch(facts.snapshot.at)
    wanted = here.config is not None and here.config.bridge.run
    if found.reported_at is None:
        if wanted:
            return fail("the bridge never reported", "mesh up imsgd; mesh logs imsgd")
        return skip("no bridge has reported: texts are off")
    silent_s = at - to_epoch(found.reported_at)
    if silent_s > SILENT_BRIDGE_S or found.state == "down":
        return fail(
            f"the bridge last reported {silent_s / 60:.0f} min ago: no text is heard",
            "mesh up imsgd (on the Mac with Messages); mesh logs imsgd",
        )
    if found.problems:
        said = "; ".join(problem.text.rstrip(".") for problem in found.problems)
        return fail(f"the bridge says: {said}", found.problems[0].remedy or "mesh logs imsgd")
    return ok(f"the bridge is {found.state}")


def breakers(facts: HubFacts) -> Verdict:
    if facts.snapshot is None:
        return _unknown(facts)
    opened = [n for n in facts.snapshot.nodes if n.breaker.state is not BreakerState.CLOSED]
    if opened:
        node = opened[0]
        reason = f": {node.breaker.reason}" if node.breaker.reason else ""
        return warn(
            f"{', '.join(n.name for n in opened)} failed too often and gets no work{reason}",
            f"mesh logs agentd (on {node.name}); when it is mended: mesh reset {node.name}",
        )
    return ok("no breaker is open")


def accounts(facts: HubFacts) -> Verdict:
    if facts.snapshot is None:
        return _unknown(facts)
    for account in facts.snapshot.accounts:
        if account.state is AccountState.BLOCKED:
            return fail(
                f"account {account.title} is blocked: {account.reason or 'its login is gone'}",
                f"claude auth login (on {account.node or 'its nodes'}), "
                f"then mesh resume {account.name}",
            )
    paused = [a for a in facts.snapshot.accounts if a.state is AccountState.PAUSED]
    if paused:
        until = paused[0].paused_until
        when = f" until {until.astimezone():%a %H:%M}" if until else ""
        return warn(
            f"account {paused[0].title} is paused{when}: {paused[0].reason or 'usage limit'}",
            f"wait, or mesh resume {paused[0].name}",
        )
    return ok("no account is paused")


def hub_disk(facts: HubFacts) -> Verdict:
    if facts.snapshot is None:
        return _unknown(facts)
    if facts.snapshot.hub.disk_full:
        return fail("the hub's disk is full: it takes no new tasks", "free space on its machine")
    return ok("the hub can write")
