"""The table of all checks: id, what it looks at, when it applies, where its facts are from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cli.doctor.checks import machine as on_machine
from cli.doctor.checks import mesh as on_mesh
from cli.doctor.checks import tools as on_tools
from cli.doctor.facts import Here
from cli.doctor.finding import Verdict
from cli.doctor.probes import daemons as daemon_probes
from cli.doctor.probes import hub as hub_probes
from cli.doctor.probes import machine as machine_probes
from cli.doctor.probes import tools as tool_probes
from cli.install.zprofile import zprofile_path

Probe = Callable[[Here], Any]
Judge = Callable[[Here, Any], Verdict]
Applies = Callable[[Here], bool]


@dataclass(frozen=True, slots=True)
class Check:
    """`probe` None: the check needs nothing but `Here`. `deep`: only when asked for."""

    id: str
    what: str
    judge: Judge
    probe: Probe | None = None
    applies: Applies = lambda here: True
    deep: bool = False


def _facts_only(judge: Callable[[Any], Verdict]) -> Judge:
    return lambda here, facts: judge(facts)


def _here_only(judge: Callable[[Here], Verdict]) -> Judge:
    return lambda here, facts: judge(here)


def _hub_here(here: Here) -> bool:
    return here.config is not None and here.config.hub.run


def _agent_here(here: Here) -> bool:
    return here.config is not None and here.config.agent.run


def _claude_here(here: Here) -> bool:
    return _agent_here(here) and here.config is not None and here.config.agent.runner == "claude"


def _bridge_here(here: Here) -> bool:
    return here.config is not None and here.config.bridge.run


def _configured(here: Here) -> bool:
    return here.config is not None


def _zsh_here(here: Here) -> bool:
    return here.env.get("SHELL", "").endswith("/zsh") or zprofile_path(here.env).exists()


_f, _h = _facts_only, _here_only

_INTERPRETER = machine_probes.interpreter
_DISK = machine_probes.disk
_DAEMONS = daemon_probes.daemons
_HUB = hub_probes.hub
_CLAUDE = tool_probes.claude
_CONFINEMENT = tool_probes.confinement
_MESSAGES = tool_probes.messages

CHECKS = (
    Check("python", "Python is new enough", _f(on_machine.python), _INTERPRETER),
    Check("sqlite", "SQLite is free of known faults", _f(on_machine.sqlite), _INTERPRETER),
    Check("config", "mesh.toml can be used", _h(on_machine.configuration)),
    Check("modes", "nobody else can read our files", _f(on_machine.modes), machine_probes.files),
    Check("disk", "there is room", _f(on_machine.disk), _DISK),
    Check("volume", "our files are on a local disk", _f(on_machine.volume), _DISK),
    Check("logs", "the logs are small", _f(on_machine.logs), _DISK),
    Check("locks", "no lock file was left behind", _f(on_machine.locks), _DAEMONS),
    Check("daemons", "what shall run runs", _f(on_machine.daemons), _DAEMONS, _configured),
    Check("orphans", "no task's process was left behind", _f(on_machine.orphans), _DAEMONS),
    Check(
        "login",
        "a new window starts the mesh",
        _f(on_machine.login),
        machine_probes.login,
        _zsh_here,
    ),
    Check("power", "this Mac stays awake", _f(on_machine.power), machine_probes.power),
    Check("bind", "the hub is not open to everybody", _h(on_tools.bind), None, _hub_here),
    Check(
        "listening", "it listens there and nowhere else", on_tools.listening, _DAEMONS, _hub_here
    ),
    Check("hub", "the hub answers", _f(on_mesh.hub), _HUB, _configured),
    Check("tls", "its certificate is good and the pinned one", _f(on_mesh.tls), _HUB, _configured),
    Check("token", "each program's token is there and good", _f(on_mesh.token), _HUB, _configured),
    Check("clock", "the clocks agree", _f(on_mesh.clock), _HUB, _configured),
    Check("version", "the versions agree", _f(on_mesh.version), _HUB, _configured),
    Check("hub-disk", "the hub can write", _f(on_mesh.hub_disk), _HUB, _configured),
    Check("node", "this node reports to the hub", on_mesh.own_node, _HUB, _agent_here),
    Check(
        "claude", "Claude Code is there and new enough", _f(on_tools.claude), _CLAUDE, _claude_here
    ),
    Check(
        "claude-login", "Claude Code is logged in", _f(on_tools.claude_login), _CLAUDE, _claude_here
    ),
    Check(
        "sandbox",
        "tasks' commands are confined",
        _f(on_tools.sandbox),
        _CONFINEMENT,
        _claude_here,
    ),
    Check(
        "claude-settings",
        "your own Claude settings leave the questions",
        _f(on_tools.claude_settings),
        _CONFINEMENT,
        _claude_here,
    ),
    Check(
        "chat-db",
        "Messages can be read (Full Disk Access)",
        _f(on_tools.chat_db),
        _MESSAGES,
        _bridge_here,
    ),
    Check(
        "handles", "your handles are the right ones", _f(on_tools.handles), _MESSAGES, _bridge_here
    ),
    Check(
        "automation",
        "Messages can be controlled",
        _f(on_tools.automation),
        tool_probes.automation,
        _bridge_here,
    ),
    Check(
        "exposure",
        "tasks cannot read your messages",
        _f(on_tools.exposure),
        tool_probes.exposure,
        _agent_here,
    ),
    Check("bridge", "the bridge reports and is well", on_mesh.bridge, _HUB, _configured),
    Check("outbox", "replies are sent", _f(on_mesh.outbox), _HUB, _configured),
    Check("stuck", "no task is stuck", _f(on_mesh.stuck), _HUB, _configured),
    Check("queue", "nothing waits for long", _f(on_mesh.queue), _HUB, _configured),
    Check("breakers", "no node failed too often", _f(on_mesh.breakers), _HUB, _configured),
    Check("accounts", "no model login is paused", _f(on_mesh.accounts), _HUB, _configured),
    Check("backups", "backups are made", _f(on_tools.backups), tool_probes.backups, _hub_here),
    Check(
        "database",
        "database and newest backup are sound",
        _f(on_tools.soundness),
        tool_probes.soundness,
        _hub_here,
        deep=True,
    ),
    Check(
        "site",
        "nothing strange runs when Python starts",
        _f(on_machine.site),
        _INTERPRETER,
        deep=True,
    ),
)
