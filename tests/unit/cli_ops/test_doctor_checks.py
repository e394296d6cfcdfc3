"""Every check of the doctor, on facts: its fault, its line, its remedy; and the sound case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agentd.runners.claude_launch import MINIMUM_VERSION
from cli.doctor.checks import machine, mesh, tools
from cli.doctor.facts import (
    Automation,
    Backups,
    Claude,
    Confinement,
    Daemons,
    Disk,
    Exposure,
    Files,
    Here,
    HubFacts,
    Interpreter,
    LockFile,
    Login,
    Messages,
    Power,
    Soundness,
    TokenFacts,
    WrongMode,
)
from cli.doctor.finding import Mark, Verdict
from cli.doctor.fleet import examine_nodes
from cli.doctor.table import CHECKS
from common.claude_settings import OwnerSettings
from common.config import AgentConfig, BridgeConfig, Config, HubConfig
from common.paths import MeshPaths
from common.sandbox import Ability
from common.version import VERSION
from common.wire.admin import Hold, Spend
from common.wire.events import HubInfo, Snapshot
from common.wire.facts import NodeFacts, ProjectFacts
from common.wire.messages import Bridge, BridgeProblem, Message, MessageState
from common.wire.nodes import Account, AccountState, Breaker, BreakerState, Node, NodeStatus
from common.wire.tasks import Task, TaskState

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
STATE = Path("/home/me/.local/state/mesh")


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def here(**tables: Any) -> Here:
    return Here({}, MeshPaths(STATE, STATE), Config(**tables))


def snapshot(**fields: Any) -> Snapshot:
    base = Snapshot(
        last_event_id="1-1",
        at=NOW,
        hub=HubInfo(version=VERSION, started_at=ago(999), epoch=1, stale_after_s=25.0),
        hold=Hold(),
        spend=Spend(day="2026-11-24"),
        bridge=Bridge(state="ok", reported_at=ago(5)),
    )
    return msgspec.structs.replace(base, **fields)


def hub(**fields: Any) -> HubFacts:
    return HubFacts("http://127.0.0.1:8420", snapshot=snapshot(**fields), offset_s=0.0)


def task(state: TaskState, **fields: Any) -> Task:
    base = Task(id=7, title="t", prompt="p", state=state, created_at=ago(9999), updated_at=ago(1))
    return msgspec.structs.replace(base, **fields)


def node(**fields: Any) -> Node:
    base = Node(name="Rex", slots=2, registered_at=ago(99), last_heartbeat_at=ago(3))
    return msgspec.structs.replace(base, **fields)


def message(state: MessageState, at: datetime) -> Message:
    return Message(id="out-1", direction="out", chat="c", text="x", at=at, state=state)


def lock(name: str, *, alive: bool, pid: str = "123") -> LockFile:
    return LockFile(STATE / f"{name}.lock", pid, alive)


def wrong(*, fixable: bool = True) -> WrongMode:
    return WrongMode(STATE / "hub.db", 0o644, 0o600, 501, fixable)


PYTHON = Interpreter((3, 12, 4), (3, 51, 3), "/usr/bin/python3")
NO_BUBBLEWRAP = Ability(
    False, "bubblewrap is not installed", "Run: sudo apt install bubblewrap socat"
)
WIDE = OwnerSettings(too_wide=("permissions.allow: Bash",))
CONFINED = Confinement(
    "auto", Ability(True), Path("/home/me/.claude/settings.json"), OwnerSettings()
)
CLAUDE = Claude("claude", "/bin/claude", (2, 1, 330), True, "oauth")
FULL_ACCESS = BridgeProblem(
    id="full_disk_access", text="macOS does not let …", remedy="Switch on Ghostty."
)

Case = tuple[str, Callable[[], Verdict], Mark, str, str]

SOUND: list[tuple[str, Callable[[], Verdict]]] = [
    ("python", lambda: machine.python(PYTHON)),
    ("sqlite", lambda: machine.sqlite(PYTHON)),
    ("site", lambda: machine.site(PYTHON)),
    ("modes", lambda: machine.modes(Files(5))),
    ("disk", lambda: machine.disk(Disk(STATE, 90_000))),
    ("volume", lambda: machine.volume(Disk(STATE, 90_000, "apfs"))),
    ("logs", lambda: machine.logs(Disk(STATE, 90_000, "apfs", 12))),
    ("locks", lambda: machine.locks(Daemons((lock("hubd", alive=True),)))),
    ("locks cleared", lambda: machine.locks(Daemons((lock("hubd", alive=False, pid=""),)))),
    ("daemons", lambda: machine.daemons(Daemons(wanted={"hubd": lock("hubd", alive=True)}))),
    ("orphans", lambda: machine.orphans(Daemons())),
    ("login", lambda: machine.login(Login(STATE, 1))),
    ("power", lambda: machine.power(Power(0))),
    ("bind", lambda: tools.bind(here())),
    ("bind ::1", lambda: tools.bind(here(hub=HubConfig(bind="[::1]:8420")))),
    ("listening", lambda: tools.listening(here(), Daemons(listening=("127.0.0.1:8420",)))),
    ("hub", lambda: mesh.hub(hub())),
    ("tls", lambda: mesh.tls(hub())),
    ("tls far", lambda: mesh.tls(replace(hub(), tls=True, tls_days_left=80.0))),
    ("token", lambda: mesh.token(replace(hub(), tokens=(TokenFacts("a", "node", good=True),)))),
    ("clock", lambda: mesh.clock(hub())),
    ("version", lambda: mesh.version(hub())),
    ("hub-disk", lambda: mesh.hub_disk(hub())),
    ("node", lambda: mesh.own_node(here(agent=AgentConfig(name="Rex")), hub(nodes=[node()]))),
    ("claude", lambda: tools.claude(CLAUDE)),
    ("claude-login", lambda: tools.claude_login(CLAUDE)),
    ("sandbox", lambda: tools.sandbox(CONFINED)),
    ("claude-settings", lambda: tools.claude_settings(CONFINED)),
    ("claude-settings none", lambda: tools.claude_settings(replace(CONFINED, sources="none"))),
    ("chat-db", lambda: tools.chat_db(Messages())),
    ("handles", lambda: tools.handles(Messages())),
    ("exposure", lambda: tools.exposure(Exposure(readable=False, started_here=True))),
    ("exposure launchd", lambda: tools.exposure(Exposure(readable=True))),
    ("automation", lambda: tools.automation(Automation(True))),
    ("bridge", lambda: mesh.bridge(here(), hub())),
    ("outbox", lambda: mesh.outbox(hub(messages=[message(MessageState.PENDING, ago(9))]))),
    (
        "stuck",
        lambda: mesh.stuck(hub(tasks=[task(TaskState.RUNNING, lease_until=NOW), _finished()])),
    ),
    ("queue", lambda: mesh.queue(hub(tasks=[task(TaskState.QUEUED)]))),
    ("breakers", lambda: mesh.breakers(hub(nodes=[node()]))),
    ("accounts", lambda: mesh.accounts(hub(accounts=[Account(name="default")]))),
    ("backups", lambda: tools.backups(Backups(True, 1800.0, 3))),
    ("database", lambda: tools.soundness(Soundness("ok", "ok", "b"))),
]


def _finished() -> Task:
    return task(TaskState.FAILED)


FAULTS: list[Case] = [
    (
        "python",
        lambda: machine.python(replace(PYTHON, python=(3, 10, 1))),
        Mark.FAIL,
        "3.10.1",
        "make",
    ),
    (
        "sqlite",
        lambda: machine.sqlite(replace(PYTHON, sqlite=(3, 40, 1))),
        Mark.WARN,
        "3.40.1",
        "brew install python",
    ),
    (
        "site",
        lambda: machine.site(replace(PYTHON, executable_pth=("evil.pth",))),
        Mark.WARN,
        "evil.pth",
        "make clean",
    ),
    (
        "config",
        lambda: machine.configuration(replace(here(), config=None, config_error="unknown key x")),
        Mark.FAIL,
        "unknown key x",
        "mesh.toml",
    ),
    ("config none", lambda: machine.configuration(here()), Mark.WARN, "no", "mesh init"),
    ("modes", lambda: machine.modes(Files(5, (wrong(),))), Mark.FAIL, "644", "mesh doctor --fix"),
    (
        "modes foreign",
        lambda: machine.modes(Files(5, (wrong(), wrong(fixable=False)))),
        Mark.FAIL,
        "another user",
        "mv ",
    ),
    ("disk", lambda: machine.disk(Disk(STATE, 100)), Mark.FAIL, "100 MB", "free"),
    ("disk low", lambda: machine.disk(Disk(STATE, 900)), Mark.WARN, "900 MB", "free"),
    ("volume", lambda: machine.volume(Disk(STATE, 9, "smbfs")), Mark.FAIL, "smbfs", "MESH_HOME"),
    (
        "volume cloud",
        lambda: machine.volume(Disk(Path("/U/Library/Mobile Documents/x"), 9)),
        Mark.FAIL,
        "iCloud",
        "MESH_HOME",
    ),
    ("logs", lambda: machine.logs(Disk(STATE, 9, "", 900)), Mark.WARN, "900 MB", "mesh up"),
    (
        "locks",
        lambda: machine.locks(Daemons((lock("imsgd", alive=False),))),
        Mark.WARN,
        "imsgd.lock",
        "mesh doctor --fix",
    ),
    (
        "daemons",
        lambda: machine.daemons(Daemons(wanted={"imsgd": None})),
        Mark.FAIL,
        "imsgd",
        "mesh up; mesh logs imsgd",
    ),
    (
        "daemons by hand",
        lambda: machine.daemons(
            Daemons(wanted={"imsgd": None}, stopped_by_hand=frozenset({"imsgd"}))
        ),
        Mark.WARN,
        "by hand",
        "mesh up imsgd",
    ),
    ("daemons none", lambda: machine.daemons(Daemons()), Mark.WARN, "nothing", "mesh init"),
    ("orphans", lambda: machine.orphans(Daemons(orphans=(5, 6))), Mark.WARN, "2", "kill 5 6"),
    ("login", lambda: machine.login(Login(STATE)), Mark.WARN, "", "mesh install zprofile"),
    (
        "login old",
        lambda: machine.login(Login(STATE, 1, current=False)),
        Mark.WARN,
        "another place",
        "mesh install zprofile",
    ),
    (
        "login broken",
        lambda: machine.login(Login(STATE, 2, broken=True)),
        Mark.FAIL,
        "damaged",
        "EDITOR",
    ),
    ("power", lambda: machine.power(Power(10)), Mark.WARN, "10 idle", "pmset"),
    (
        "bind",
        lambda: tools.bind(here(hub=HubConfig(bind="0.0.0.0:8420"))),
        Mark.FAIL,
        "0.0.0.0",
        "tailscale serve",
    ),
    (
        "bind half",
        lambda: tools.bind(here(hub=HubConfig(tls_cert="a"))),
        Mark.FAIL,
        "belong together",
        "both",
    ),
    (
        "listening",
        lambda: tools.listening(here(), Daemons(listening=("0.0.0.0:8420",))),
        Mark.FAIL,
        "0.0.0.0:8420",
        "mesh restart hubd",
    ),
    (
        "hub",
        lambda: mesh.hub(HubFacts("http://x", "no answer")),
        Mark.FAIL,
        "no answer",
        "mesh up hubd",
    ),
    (
        "hub slow",
        lambda: mesh.hub(HubFacts("http://x", slow=True)),
        Mark.WARN,
        "slowly",
        "mesh logs hubd",
    ),
    (
        "hub skew",
        lambda: mesh.hub(HubFacts("http://x", "protocol 9", "upgrade_required")),
        Mark.FAIL,
        "protocol 9",
        "git pull",
    ),
    ("tls open", lambda: mesh.tls(HubFacts("http://192.0.2.1:1")), Mark.FAIL, "read", "https"),
    (
        "tls pin",
        lambda: mesh.tls(replace(hub(), tls=True, pinned=True, pin_matches=False)),
        Mark.FAIL,
        "belong together",
        "mesh join",
    ),
    (
        "tls ends",
        lambda: mesh.tls(replace(hub(), tls=True, pinned=True, tls_days_left=3.0)),
        Mark.WARN,
        "3 days",
        "mesh join",
    ),
    (
        "token missing",
        lambda: mesh.token(
            replace(hub(), tokens=(TokenFacts("node-Rex.token", "node", "does not exist"),))
        ),
        Mark.FAIL,
        "does not exist",
        "mesh token new --role node --name Rex",
    ),
    (
        "token bad",
        lambda: mesh.token(
            replace(hub(), tokens=(TokenFacts("bridge.token", "bridge", good=False, answer="no"),))
        ),
        Mark.FAIL,
        "bridge.token: no",
        "mesh token new --role bridge",
    ),
    ("token none", lambda: mesh.token(hub()), Mark.FAIL, "no token", "mesh join"),
    (
        "clock",
        lambda: mesh.clock(replace(hub(), offset_s=-400.0)),
        Mark.WARN,
        "400 s ahead",
        "sntp",
    ),
    (
        "version",
        lambda: mesh.version(
            hub(hub=HubInfo(version="9.9", started_at=NOW, epoch=1, stale_after_s=25))
        ),
        Mark.WARN,
        "9.9",
        "git pull",
    ),
    (
        "hub-disk",
        lambda: mesh.hub_disk(
            hub(
                hub=HubInfo(
                    version=VERSION, started_at=NOW, epoch=1, stale_after_s=25, disk_full=True
                )
            )
        ),
        Mark.FAIL,
        "full",
        "free",
    ),
    (
        "node unknown",
        lambda: mesh.own_node(here(agent=AgentConfig(name="Rex")), hub()),
        Mark.FAIL,
        "never heard of Rex",
        "mesh up agentd",
    ),
    (
        "node silent",
        lambda: mesh.own_node(
            here(agent=AgentConfig(name="Rex")), hub(nodes=[node(last_heartbeat_at=ago(90))])
        ),
        Mark.FAIL,
        "90 s ago",
        "mesh restart agentd",
    ),
    (
        "node drains",
        lambda: mesh.own_node(
            here(agent=AgentConfig(name="Rex")), hub(nodes=[node(draining=True)])
        ),
        Mark.WARN,
        "drains",
        "mesh undrain Rex",
    ),
    (
        "node refuses",
        lambda: mesh.own_node(
            here(agent=AgentConfig(name="Rex")),
            hub(nodes=[node(accepting=False, not_accepting_reason="less than 9 MB free")]),
        ),
        Mark.WARN,
        "takes no work: less than 9 MB free",
        "mesh logs agentd",
    ),
    ("claude", lambda: tools.claude(Claude("claude")), Mark.FAIL, "not found", "npm install"),
    (
        "claude old",
        lambda: tools.claude(replace(CLAUDE, version=(1, 0, 9))),
        Mark.FAIL,
        "1.0.9",
        "/bin/claude update",
    ),
    (
        "claude mute",
        lambda: tools.claude(replace(CLAUDE, version=None, said="no answer")),
        Mark.FAIL,
        "no answer",
        "/bin/claude --version",
    ),
    (
        "claude-login",
        lambda: tools.claude_login(replace(CLAUDE, logged_in=False)),
        Mark.FAIL,
        "not logged in",
        "/bin/claude auth login",
    ),
    (
        "sandbox",
        lambda: tools.sandbox(replace(CONFINED, ability=NO_BUBBLEWRAP)),
        Mark.WARN,
        "with your rights: bubblewrap is not installed",
        "sudo apt install bubblewrap socat",
    ),
    (
        "sandbox on",
        lambda: tools.sandbox(replace(CONFINED, setting="on", ability=NO_BUBBLEWRAP)),
        Mark.FAIL,
        "no work is taken",
        "sudo apt install bubblewrap socat",
    ),
    (
        "sandbox off",
        lambda: tools.sandbox(replace(CONFINED, setting="off")),
        Mark.WARN,
        "agent.sandbox is off",
        'agent.sandbox = "auto"',
    ),
    (
        "claude-settings",
        lambda: tools.claude_settings(replace(CONFINED, owner=WIDE)),
        Mark.WARN,
        "is not used for tasks, because it allows everything: permissions.allow: Bash",
        "edit /home/me/.claude/settings.json",
    ),
    (
        "claude-settings anyway",
        lambda: tools.claude_settings(replace(CONFINED, owner=WIDE, sources="user-anyway")),
        Mark.WARN,
        "lets tasks act unasked",
        "edit /home/me/.claude/settings.json",
    ),
    (
        "claude-login unclear",
        lambda: tools.claude_login(replace(CLAUDE, logged_in=None)),
        Mark.WARN,
        "does not say",
        "/bin/claude auth status",
    ),
    (
        "chat-db",
        lambda: tools.chat_db(Messages((FULL_ACCESS,))),
        Mark.FAIL,
        "macOS does not let",
        "Switch on Ghostty. Then, in a new window: mesh restart imsgd",
    ),
    (
        "chat-db check",
        lambda: tools.chat_db(Messages(said="no answer")),
        Mark.FAIL,
        "no answer",
        "mesh-imsgd --check",
    ),
    (
        "exposure",
        lambda: tools.exposure(Exposure(readable=True, started_here=True)),
        Mark.WARN,
        "can read your messages",
        "mesh install launchd",
    ),
    (
        "handles",
        lambda: tools.handles(
            Messages((BridgeProblem(id="self_handles", text="never sent", remedy="check"),))
        ),
        Mark.WARN,
        "never sent",
        "check",
    ),
    (
        "handles none",
        lambda: tools.handles(
            Messages((BridgeProblem(id="allow_list", text="Nobody may", remedy="Put"),))
        ),
        Mark.FAIL,
        "Nobody may",
        "Put",
    ),
    (
        "automation",
        lambda: tools.automation(Automation(True, status=1, error_number=-1743)),
        Mark.FAIL,
        "Automation",
        "tccutil reset AppleEvents",
    ),
    (
        "automation waits",
        lambda: tools.automation(Automation(True, timed_out=True)),
        Mark.WARN,
        "permission",
        "screen",
    ),
    (
        "automation none",
        lambda: tools.automation(Automation(False)),
        Mark.FAIL,
        "osascript",
        "bridge.run = false",
    ),
    (
        "automation else",
        lambda: tools.automation(Automation(True, status=1, error_number=-600, said="not open")),
        Mark.FAIL,
        "not open",
        "open -a Messages",
    ),
    (
        "bridge never",
        lambda: mesh.bridge(here(bridge=BridgeConfig(run=True)), hub(bridge=Bridge())),
        Mark.FAIL,
        "never",
        "mesh up imsgd",
    ),
    (
        "bridge silent",
        lambda: mesh.bridge(here(), hub(bridge=Bridge(state="ok", reported_at=ago(600)))),
        Mark.FAIL,
        "10 min ago",
        "mesh up imsgd",
    ),
    (
        "bridge unwell",
        lambda: mesh.bridge(
            here(), hub(bridge=Bridge(state="degraded", problems=[FULL_ACCESS], reported_at=NOW))
        ),
        Mark.FAIL,
        "macOS does not let",
        "Switch on Ghostty.",
    ),
    (
        "outbox",
        lambda: mesh.outbox(hub(messages=[message(MessageState.PENDING, ago(900))])),
        Mark.FAIL,
        "15 min",
        "mesh up imsgd",
    ),
    (
        "outbox doubt",
        lambda: mesh.outbox(hub(messages=[message(MessageState.UNKNOWN, ago(9))])),
        Mark.WARN,
        "may not have arrived",
        "mesh logs imsgd",
    ),
    (
        "stuck",
        lambda: mesh.stuck(hub(tasks=[task(TaskState.RUNNING, lease_until=ago(500))])),
        Mark.FAIL,
        "#7",
        "mesh why 7",
    ),
    (
        "stuck silent",
        lambda: mesh.stuck(hub(tasks=[task(TaskState.UNKNOWN, lease_until=ago(50))])),
        Mark.WARN,
        "#7",
        "--fleet",
    ),
    (
        "stuck attention",
        lambda: mesh.stuck(hub(tasks=[task(TaskState.NEEDS_ATTENTION)])),
        Mark.WARN,
        "#7",
        "mesh show 7",
    ),
    ("queue hold", lambda: mesh.queue(hub(hold=Hold(on=True))), Mark.WARN, "hold", "mesh go"),
    (
        "queue budget",
        lambda: mesh.queue(hub(spend=Spend(day="d", capped=True))),
        Mark.WARN,
        "budget",
        "mesh pending",
    ),
    (
        "queue long",
        lambda: mesh.queue(hub(tasks=[task(TaskState.QUEUED, updated_at=ago(5000))])),
        Mark.WARN,
        "#7",
        "mesh why 7",
    ),
    (
        "breakers",
        lambda: mesh.breakers(
            hub(nodes=[node(breaker=Breaker(state=BreakerState.OPEN, reason="no disk"))])
        ),
        Mark.WARN,
        "Rex failed too often and gets no work: no disk",
        "mesh reset Rex",
    ),
    (
        "accounts blocked",
        lambda: mesh.accounts(
            hub(accounts=[Account(name="default", state=AccountState.BLOCKED, reason="logged out")])
        ),
        Mark.FAIL,
        "logged out",
        "claude auth login (on its nodes), then mesh resume default",
    ),
    (
        "accounts paused",
        lambda: mesh.accounts(
            hub(accounts=[Account(name="default", state=AccountState.PAUSED, paused_until=ago(-9))])
        ),
        Mark.WARN,
        "paused until",
        "mesh resume default",
    ),
    ("backups", lambda: tools.backups(Backups(True, 9e4, 3)), Mark.FAIL, "25.0 h", "mesh backup"),
    ("backups none", lambda: tools.backups(Backups(True)), Mark.WARN, "no backup", "mesh backup"),
    (
        "backups off",
        lambda: tools.backups(Backups(True, every_s=0)),
        Mark.WARN,
        "off",
        "hub.backup_every_s",
    ),
    (
        "database gone",
        lambda: tools.soundness(Soundness(gone=True)),
        Mark.FAIL,
        "gone though it was here",
        "mesh restore",
    ),
    (
        "database",
        lambda: tools.soundness(Soundness("row 3 missing")),
        Mark.FAIL,
        "row 3 missing",
        "mesh restore",
    ),
    (
        "database backup",
        lambda: tools.soundness(Soundness("ok", "not a database", "b.db")),
        Mark.FAIL,
        "b.db",
        "mesh backup",
    ),
]


@pytest.mark.parametrize(("name", "look"), SOUND, ids=[name for name, _ in SOUND])
def test_what_is_sound_is_said_to_be(name: str, look: Callable[[], Verdict]) -> None:
    verdict = look()
    assert verdict.mark is Mark.OK, verdict
    assert verdict.remedy == ""


@pytest.mark.parametrize(
    ("name", "look", "mark", "fact", "remedy"), FAULTS, ids=[case[0] for case in FAULTS]
)
def test_a_fault_has_its_line_and_its_remedy(
    name: str, look: Callable[[], Verdict], mark: Mark, fact: str, remedy: str
) -> None:
    verdict = look()
    assert verdict.mark is mark, verdict
    assert fact in verdict.fact
    assert remedy in verdict.remedy
    assert verdict.remedy


def test_every_check_is_tried_here_with_a_fault_and_without() -> None:
    with_fault = {name.split()[0] for name, *_ in FAULTS}
    sound = {name.split()[0] for name, _ in SOUND}
    ids = {check.id for check in CHECKS}
    assert ids <= with_fault
    assert ids - {"config"} <= sound


def test_without_the_hub_nothing_is_claimed_about_the_mesh() -> None:
    facts = HubFacts("http://127.0.0.1:8420", error="no answer")
    judges = (
        mesh.clock,
        mesh.version,
        mesh.hub_disk,
        mesh.stuck,
        mesh.queue,
        mesh.outbox,
        mesh.breakers,
        mesh.accounts,
    )
    for judge in judges:
        assert judge(facts).mark is Mark.SKIP


def test_the_claude_that_is_asked_for_is_the_one_the_agent_needs() -> None:
    assert tools.MIN_CLAUDE == MINIMUM_VERSION


def _status(**fields: Any) -> NodeStatus:
    base = NodeStatus(
        name="Rex", slots=2, registered_at=ago(99), version=VERSION, online=True, busy=1
    )
    return msgspec.structs.replace(base, **fields)


@pytest.mark.parametrize(
    ("status", "check", "mark", "fact"),
    [
        (_status(), "node", Mark.OK, "1 of 2"),
        (_status(online=False, heartbeat_age_s=600.0), "node", Mark.FAIL, "10 min ago"),
        (_status(online=False), "node", Mark.FAIL, "never"),
        (_status(draining=True), "node", Mark.WARN, "drains"),
        (_status(accepting=False), "node", Mark.WARN, "takes no work"),
        (
            _status(accepting=False, not_accepting_reason="no disk"),
            "node",
            Mark.WARN,
            "takes no work: no disk",
        ),
        (_status(version="0.0.1"), "version", Mark.WARN, "0.0.1"),
        (
            _status(breaker=Breaker(state=BreakerState.OPEN, reason="no disk")),
            "breakers",
            Mark.WARN,
            "no disk",
        ),
        (_status(facts=NodeFacts(claude="2.1.330 (Claude Code)")), "claude", Mark.OK, "2.1.330"),
        (_status(facts=NodeFacts(claude="1.9.1 (Claude Code)")), "claude", Mark.FAIL, "1.9.1"),
        (
            _status(facts=NodeFacts(projects=[ProjectFacts(name="shop", problem="gone")])),
            "project",
            Mark.WARN,
            "shop: gone",
        ),
        (_status(facts=NodeFacts(self_test="ok")), "self-test", Mark.OK, "well"),
        (
            _status(facts=NodeFacts(self_test="failed", self_test_error="no disk")),
            "self-test",
            Mark.FAIL,
            "no disk",
        ),
    ],
)
def test_each_node_of_a_fleet_is_judged_by_what_it_reports(
    status: NodeStatus, check: str, mark: Mark, fact: str
) -> None:
    findings = {finding.id: finding for finding in examine_nodes([status])}
    assert findings[check].mark is mark
    assert fact in findings[check].fact
    assert findings[check].node == "Rex"
    assert bool(findings[check].remedy) is (mark is not Mark.OK)
