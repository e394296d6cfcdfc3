"""Checks of what the mesh works with: Claude Code, Messages, osascript, the hub's own files."""

from __future__ import annotations

from cli.doctor.checks.machine import dotted
from cli.doctor.facts import (
    Automation,
    Backups,
    Claude,
    Confinement,
    Daemons,
    Exposure,
    Here,
    Messages,
    Soundness,
)
from cli.doctor.finding import Verdict, fail, ok, skip, warn
from cli.enroll.invitation import is_this_machine
from common.config import HubConfig

MIN_CLAUDE = (2, 1, 330)
NOT_AUTHORISED = -1743

FULL_DISK_ACCESS = "full_disk_access"
HANDLES = ("self_handles", "allow_list", "service_not_heard", "somebody_else_in_chat")
"""Ids of problems as the bridge names them."""


def claude(facts: Claude) -> Verdict:
    if facts.path is None:
        return fail(
            f"Claude Code was not found ({facts.program})",
            "npm install -g @anthropic-ai/claude-code, or set agent.claude to its full path",
        )
    if facts.version is None:
        return fail(
            f"{facts.path} does not say its version{_said(facts.said)}",
            f"{facts.path} --version",
        )
    found = f"Claude Code {dotted(facts.version)} at {facts.path}"
    if facts.version < MIN_CLAUDE:
        return fail(f"{found}; {dotted(MIN_CLAUDE)} or newer is needed", f"{facts.path} update")
    return ok(found)


def claude_login(facts: Claude) -> Verdict:
    if facts.path is None or facts.version is None:
        return skip("no Claude Code that works")
    if facts.logged_in is None:
        return warn(
            f"Claude Code does not say whether it is logged in{_said(facts.said)}",
            f"{facts.path} auth status",
        )
    if not facts.logged_in:
        return fail("Claude Code is not logged in", f"{facts.path} auth login")
    return ok(f"Claude Code is logged in ({facts.method or 'unknown method'})")


def sandbox(facts: Confinement) -> Verdict:
    """Are the commands of a task confined, as far as this machine can?"""
    if facts.setting == "off":
        return warn(
            "tasks' commands run with your rights: agent.sandbox is off",
            'set agent.sandbox = "auto" in mesh.toml, then: mesh restart agentd',
        )
    if facts.ability.usable:
        return ok("tasks' commands run in Claude's sandbox")
    remedy = facts.ability.remedy.removeprefix("Run: ") or 'set agent.sandbox = "off" in mesh.toml'
    if facts.setting == "on":
        return fail(f"no work is taken: agent.sandbox is on, and {facts.ability.why}", remedy)
    return warn(f"tasks' commands run with your rights: {facts.ability.why}", remedy)


def claude_settings(facts: Confinement) -> Verdict:
    """Do your own Claude settings count, and would they silence the questions?"""
    if facts.sources == "none":
        return ok("your own Claude settings are not read (agent.setting_sources)")
    if not facts.owner.too_wide:
        return ok("your own Claude settings count, a repository's do not")
    found = ", ".join(facts.owner.too_wide)
    if facts.sources == "user-anyway":
        return warn(f"{facts.file} lets tasks act unasked: {found}", f"edit {facts.file}")
    return warn(
        f"{facts.file} is not used for tasks, because it allows everything: {found}",
        f"edit {facts.file}",
    )


def _said(text: str) -> str:
    return f" ({text})" if text else ""


def chat_db(facts: Messages) -> Verdict:
    """Can the bridge read Messages? Names the application that needs the permission."""
    if facts.said is not None:
        return fail(f"the bridge's own check did not work: {facts.said}", "mesh-imsgd --check")
    for problem in facts.problems:
        if problem.id not in HANDLES:
            return fail(problem.text.rstrip("."), _remedy(problem.id, problem.remedy))
    return ok("Messages' database can be read")


def _remedy(problem: str, remedy: str) -> str:
    if problem != FULL_DISK_ACCESS:
        return remedy
    settings = "x-apple.systempreferences:com.apple.preference.security?Privacy_AllFiles"
    return f"open '{settings}' — {remedy} Then, in a new window: mesh restart imsgd"


def exposure(facts: Exposure) -> Verdict:
    """Full Disk Access is inherited: does what a task runs have it?"""
    if facts.readable is None:
        return skip("there is no Messages database here")
    if facts.readable and facts.started_here:
        return warn(
            "the agent was started by a terminal that may read everything: what its tasks run "
            "can read your messages too",
            "mesh down agentd && mesh install launchd",
        )
    return ok("what tasks run cannot read your messages")


def handles(facts: Messages) -> Verdict:
    if facts.said is not None:
        return skip("not known")
    for problem in facts.problems:
        if problem.id == "allow_list":
            return fail(problem.text.rstrip("."), problem.remedy)
        if problem.id in HANDLES:
            return warn(problem.text.rstrip("."), problem.remedy)
    if any(problem.id.startswith("chat_db") for problem in facts.problems):
        return ok("the configured handles are addresses; whether they are yours, chat.db would say")
    return ok("the configured handles are addresses, and your own ones are known to Messages")


def automation(facts: Automation) -> Verdict:
    if not facts.found:
        return fail("there is no osascript here: the bridge needs a Mac", "set bridge.run = false")
    if facts.timed_out:
        return warn(
            "Messages did not answer: macOS may be asking for permission to control it",
            "look at the Mac's own screen and allow it; then mesh doctor --only automation",
        )
    if facts.error_number == NOT_AUTHORISED:
        return fail(
            "macOS does not let this terminal control Messages (Automation)",
            "tccutil reset AppleEvents, then mesh doctor --only automation, and allow it",
        )
    if facts.status != 0:
        return fail(f"Messages cannot be controlled{_said(facts.said)}", "open -a Messages")
    return ok("Messages can be controlled")


def bind(here: Here) -> Verdict:
    hub = here.config.hub if here.config else HubConfig()
    tls = bool(hub.tls_cert and hub.tls_key)
    if bool(hub.tls_cert) != bool(hub.tls_key):
        return fail("hub.tls_cert and hub.tls_key belong together", "set both, or neither")
    if not _only_here(hub.bind) and not tls:
        return fail(
            f"hub.bind {hub.bind} can be reached by others and has no TLS: the hub refuses it",
            'set hub.bind = "127.0.0.1:8420" and use tailscale serve (docs/DEPLOY.md)',
        )
    return ok(f"hub.bind {hub.bind}, {'with TLS' if tls else 'this machine only'}")


def listening(here: Here, facts: Daemons) -> Verdict:
    """Is the port open where the configuration says, and nowhere else?"""
    if not facts.listening:
        return skip("no hub runs here")
    configured = here.config.hub.bind if here.config else ""
    wide = [address for address in facts.listening if not _only_here(address)]
    if wide and _only_here(configured):
        return fail(
            f"the hub listens on {', '.join(wide)}, which others can reach, not on {configured}",
            "mesh restart hubd",
        )
    return ok(f"the hub listens on {', '.join(facts.listening)}")


def _only_here(bind: str) -> bool:
    return is_this_machine(f"http://{bind}")


def backups(facts: Backups) -> Verdict:
    if not facts.database:
        return skip("there is no database yet")
    if facts.every_s <= 0:
        return warn("backups are switched off", "set hub.backup_every_s = 3600")
    if facts.newest_age_s is None:
        return warn("there is no backup yet", "mesh backup")
    hours = facts.newest_age_s / 3600
    if facts.newest_age_s > 2 * facts.every_s + 600:
        return fail(f"the newest backup is {hours:.1f} h old", "mesh backup; mesh logs hubd")
    return ok(f"{facts.count} backups, the newest {hours:.1f} h old")


def soundness(facts: Soundness) -> Verdict:
    if facts.database not in (None, "ok"):
        return fail(
            f"the hub's database is damaged: {facts.database}", "mesh down hubd; mesh restore"
        )
    if facts.backup not in (None, "ok"):
        return fail(
            f"the newest backup ({facts.backup_name}) is damaged: {facts.backup}", "mesh backup"
        )
    if facts.gone:
        return fail("the hub's database is gone though it was here", "mesh down hubd; mesh restore")
    if facts.database is None:
        return skip("there is no database yet")
    return ok(f"database{' and newest backup' if facts.backup else ''} are sound")
