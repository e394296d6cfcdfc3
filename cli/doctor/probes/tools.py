"""Claude Code, the bridge's own check, osascript, backups and the database itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cli.doctor.facts import (
    Automation,
    Backups,
    Claude,
    Confinement,
    Exposure,
    Here,
    Messages,
    Soundness,
)
from cli.doctor.probes.machine import TOOL_S
from cli.parent.plan import AGENTD
from cli.parent.record import read_record
from cli.programs import program
from common.claude_settings import read_owner_settings, settings_file
from common.config import Config
from common.sandbox import probe_sandbox
from common.wire.messages import BridgeProblem

PASSED_ON = ("HOME", "PATH", "LANG", "LC_ALL", "TMPDIR", "USER", "LOGNAME", "SHELL", "TZ")
"""What the agent passes on to Claude Code: its login must be found the same way."""

QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
}

_VERSION = re.compile(r"\s*(\d+)\.(\d+)\.(\d+)")
_ERROR_NUMBER = re.compile(r"\((-?\d+)\)\s*$")
_COUNT_ACCOUNTS = 'tell application "Messages" to count of accounts'
_BACKUP = re.compile(r"^hub-\d{8}T\d{6}Z(-\d+)?\.db$")


@dataclass(frozen=True, slots=True)
class _Done:
    status: int | None
    stdout: str = ""
    stderr: str = ""
    """Status None: it took too long and was ended."""


def _run(argv: Sequence[str], env: Mapping[str, str], *, stdin: str = "") -> _Done:
    """Run a tool for at most TOOL_S, and leave nothing of its group behind. Raises OSError."""
    process = subprocess.Popen(
        list(argv),
        env=dict(env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    with process:
        try:
            stdout, stderr = process.communicate(stdin, timeout=TOOL_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            for pipe in (process.stdout, process.stderr, process.stdin):
                if pipe is not None:
                    pipe.close()  # a grandchild of another session may hold the other end
            process.wait()
            return _Done(None)
    return _Done(process.returncode, stdout, stderr)


def claude(here: Here) -> Claude:
    agent = (here.config or Config()).agent
    env = {name: here.env[name] for name in PASSED_ON if name in here.env}
    env |= {"TERM": "dumb"} | QUIET | dict(agent.env)
    path = shutil.which(str(Path(agent.claude).expanduser()), path=env.get("PATH"))
    if path is None:
        return Claude(agent.claude)
    try:
        said = _run([path, "--version"], env)
        match = _VERSION.match(said.stdout)
        if match is None:
            return Claude(agent.claude, path, said=_why(said))
        version = tuple(int(part) for part in match.groups())
        logged_in, method, why = _login(_run([path, "auth", "status"], env))
    except OSError as error:
        return Claude(agent.claude, path, said=error.strerror or str(error))
    return Claude(agent.claude, path, version, logged_in, method, why)


def confinement(here: Here) -> Confinement:
    agent = (here.config or Config()).agent
    env = {**here.env, **agent.env}
    ability = probe_sandbox(env)
    sandboxed = ability.usable and agent.sandbox != "off"
    return Confinement(
        agent.sandbox,
        ability,
        settings_file(env),
        read_owner_settings(env, sandboxed=sandboxed),
        agent.setting_sources,
    )


def _login(done: _Done) -> tuple[bool | None, str, str]:
    try:
        status = json.loads(done.stdout)
        return bool(status["loggedIn"]), str(status.get("authMethod", "")), ""
    except (ValueError, KeyError, TypeError):
        return None, "", _why(done)


def _why(done: _Done) -> str:
    if done.status is None:
        return f"no answer in {TOOL_S:.0f} s"
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1][:120] if lines else f"exit code {done.status}"


def messages(here: Here) -> Messages:
    """The bridge's own check of Messages' database; `true` stands in for osascript meanwhile."""
    env = {**here.env, "MESH_BRIDGE__OSASCRIPT": shutil.which("true") or "/usr/bin/true"}
    done = _run(program("imsgd", "--check"), env)
    problems = []
    for line in done.stdout.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if "problem" in found:
            problems.append(
                BridgeProblem(
                    id=found["problem"], text=found["text"], remedy=found.get("remedy", "")
                )
            )
    if not done.stdout.strip():
        return Messages(said=_why(done))
    return Messages(tuple(problems))


def exposure(here: Here) -> Exposure:
    chat_db = Path((here.config or Config()).bridge.chat_db).expanduser()
    record = read_record(here.paths)
    agent = record.daemons.get(AGENTD) if record else None
    started_here = agent is not None and agent.state == "running"
    try:
        with chat_db.open("rb") as file:
            return Exposure(readable=bool(file.read(16)), started_here=started_here)
    except FileNotFoundError:
        return Exposure()
    except OSError:
        return Exposure(readable=False, started_here=started_here)


def automation(here: Here) -> Automation:
    osascript = (here.config or Config()).bridge.osascript
    if shutil.which(osascript) is None:
        return Automation(found=False)
    kept = ("HOME", "USER", "LOGNAME", "TMPDIR", "LANG", "__CF_USER_TEXT_ENCODING")
    env = {name: here.env[name] for name in kept if name in here.env}
    done = _run([osascript, "-"], {"PATH": "/usr/bin:/bin", **env}, stdin=_COUNT_ACCOUNTS)
    if done.status is None:
        return Automation(found=True, timed_out=True)
    match = _ERROR_NUMBER.search(done.stderr)
    number = int(match[1]) if match else None
    return Automation(True, status=done.status, error_number=number, said=_why(done))


def backups(here: Here) -> Backups:
    hub = (here.config or Config()).hub
    found = _backups(here.paths.backups_dir)
    newest = max((file.stat().st_mtime for file in found), default=None)
    return Backups(
        database=here.paths.hub_db.exists(),
        newest_age_s=None if newest is None else max(time.time() - newest, 0.0),
        count=len(found),
        every_s=hub.backup_every_s,
    )


def _backups(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if _BACKUP.match(file.name))


def soundness(here: Here) -> Soundness:
    """Reads the whole database and the newest backup: slow, and only when asked."""
    found = _backups(here.paths.backups_dir)
    if not here.paths.hub_db.exists():
        marks = here.paths.hub_db.with_name(f"{here.paths.hub_db.name}.epoch")
        return Soundness(gone=marks.exists())  # the hub keeps them beside its database
    return Soundness(
        database=_integrity(here.paths.hub_db),
        backup=_integrity(found[-1]) if found else None,
        backup_name=found[-1].name if found else "",
    )


def _integrity(file: Path) -> str:
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as conn:
            rows = conn.execute("PRAGMA integrity_check(1)").fetchall()
            return str(rows[0][0])
    except sqlite3.Error as error:
        return str(error)
