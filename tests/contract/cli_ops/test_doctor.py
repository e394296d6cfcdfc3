"""`mesh doctor` on a machine with one fault at a time, and with the remedy applied."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.wire.admin import Role
from tests.contract.cli_ops.certificates import self_signed
from tests.contract.cli_ops.conftest import Mesh, until
from tests.contract.hubd.harness import HubProcess, issue

Finding = dict[str, str]


def configure(mesh: Mesh, text: str) -> None:
    file = mesh.home / "mesh.toml"
    file.write_text(text)
    file.chmod(0o600)


LATE = re.compile(r"no answer (within|in) \d|answers slowly")


def look(
    mesh: Mesh, *only: str, options: tuple[str, ...] = (), patient: bool = True
) -> dict[str, Finding]:
    """The findings by id; `patient`: again, as a person would, when a busy machine was late."""
    found = _look_once(mesh, *only, options=options)
    for _ in range(10):
        if not patient or not any(LATE.search(finding["fact"]) for finding in found.values()):
            break
        found = _look_once(mesh, *only, options=options)
    return found


def _look_once(mesh: Mesh, *only: str, options: tuple[str, ...]) -> dict[str, Finding]:
    """One run; the exit code must fit what it found."""
    chosen = [word for name in only for word in ("--only", name)]
    done = mesh("doctor", "--json", *chosen, *options)
    assert done.stderr == ""
    report: dict[str, Any] = json.loads(done.stdout)
    found = {finding["id"]: finding for finding in report["findings"]}
    failed = any(finding["mark"] == "fail" for finding in report["findings"])
    assert (done.returncode, report["ok"]) == (int(failed), not failed)
    return found


def tool(folder: Path, name: str, script: str) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


@pytest.fixture
def hub(mesh: Mesh) -> Iterator[HubProcess]:
    """A hub of this mesh, not started, with the operator's token in place."""
    process = HubProcess(mesh.home, dict(mesh.env))
    token = asyncio.run(issue(mesh.home, Role.OPERATOR))
    write_token(mesh, "operator.token", token)
    yield process
    process.close()


def write_token(mesh: Mesh, name: str, token: str) -> None:
    folder = mesh.home / "tokens"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / name).write_text(token)
    (folder / name).chmod(0o600)


def start(mesh: Mesh, hub: HubProcess, extra: str = "") -> None:
    hub.start()
    bind = hub.hub.url.partition("://")[2]
    configure(mesh, f'[hub]\nrun = true\nbind = "{bind}"\nbackup_every_s = 0\n{extra}')


def test_the_remedies_lead_from_nothing_to_a_sound_machine(mesh: Mesh) -> None:
    assert look(mesh, "config")["config"]["remedy"] == "mesh init"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    bind = f"127.0.0.1:{port}"
    mesh("init", "--yes", "--bind", bind, "--name", "Rex", "--runner", "rehearsal")
    before = look(mesh, "daemons", "hub")
    assert before["daemons"]["mark"] == before["hub"]["mark"] == "fail"
    assert before["daemons"]["remedy"].startswith("mesh up")
    try:
        assert mesh("up").returncode == 0
        assert mesh("backup").returncode == 0
        until(lambda: look(mesh, "node")["node"]["mark"] == "ok", "the node's report")
        found = look(mesh, options=("--deep",))
        assert {name for name, f in found.items() if f["mark"] in ("fail", "warn")} <= {"sqlite"}
        for checked in ("listening", "token", "node", "database", "backups", "daemons", "clock"):
            assert found[checked]["mark"] == "ok", found[checked]
        assert found["exposure"]["mark"] == "skip"
        chat_db = Path(mesh.env["HOME"]) / "Library" / "Messages" / "chat.db"
        chat_db.parent.mkdir(parents=True)
        chat_db.write_bytes(b"SQLite format 3\0")
        assert look(mesh, "exposure")["exposure"]["mark"] == "warn"
        fleet = look(mesh, options=("--fleet",))
        assert fleet["node"]["node"] == "Rex"
        assert fleet["node"]["mark"] == "ok"
    finally:
        mesh("down", "--now")


def test_it_works_without_the_hub_and_says_so(mesh: Mesh) -> None:
    configure(mesh, '[hub]\nrun = true\nbind = "127.0.0.1:1"\n')
    done = mesh("doctor")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    (line,) = [line for line in lines if line.startswith("✗ hub ")]
    assert "→ mesh up hubd" in line
    assert any(line.startswith("· stuck") for line in lines)


def test_a_hub_that_takes_the_call_and_says_nothing_is_given_up_on(mesh: Mesh) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=50) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        configure(mesh, f'[hub]\nurl = "{url}"\n')
        found = look(mesh, "hub", "stuck", patient=False)
    assert "within 2 s" in found["hub"]["fact"]
    assert found["stuck"]["mark"] == "skip"


def test_a_broken_configuration_is_one_line_and_the_rest_is_looked_at(mesh: Mesh) -> None:
    configure(mesh, "[agent]\nslot = 3\n")
    found = look(mesh)
    assert "Did you mean slots?" in found["config"]["fact"]
    assert found["disk"]["mark"] == "ok"
    assert "hub" not in found


def test_what_others_could_read_is_found_and_mended_by_fix(mesh: Mesh) -> None:
    configure(mesh, "[agent]\nslots = 3\n")
    write_token(mesh, "operator.token", "x")
    (mesh.home / "tokens" / "operator.token").chmod(0o644)
    mesh.home.chmod(0o755)
    found = look(mesh, "modes")["modes"]
    assert (found["mark"], found["remedy"]) == ("fail", "mesh doctor --fix")
    done = mesh("doctor", "--fix", "--only", "modes")
    assert done.returncode == 0
    assert done.stdout.count("mended: chmod") == 2
    assert look(mesh, "modes")["modes"]["mark"] == "ok"


def test_fix_follows_no_link_and_leaves_what_is_not_ours(mesh: Mesh, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("")
    outside.chmod(0o644)
    (mesh.home / "link").symlink_to(outside)
    (mesh.home / "gone").symlink_to(tmp_path / "nowhere")
    mesh("doctor", "--fix", "--only", "modes")
    assert outside.stat().st_mode & 0o777 == 0o644


def test_a_lock_left_by_a_crash_is_cleared_and_a_held_one_is_not(mesh: Mesh) -> None:
    stale, held = mesh.home / "imsgd.lock", mesh.home / "hubd.lock"
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    for file in (stale, held):
        file.write_text(f"{child.pid}\n")
        file.chmod(0o600)
    assert "imsgd.lock" in look(mesh, "locks")["locks"]["fact"]
    with held.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        mesh("doctor", "--fix", "--only", "locks")
        assert stale.read_text() == ""
        assert held.read_text() == f"{child.pid}\n"


def test_a_missing_and_a_revoked_token_have_their_lines(mesh: Mesh, hub: HubProcess) -> None:
    start(mesh, hub, '[agent]\nrun = true\nname = "Rex"\nrunner = "rehearsal"\n')
    missing = look(mesh, "token")["token"]
    assert missing["mark"] == "fail"
    assert "node-Rex.token does not exist" in missing["fact"]
    assert "mesh token new --role node --name Rex" in missing["remedy"]
    bad = "mesh_node_0123456789ab_" + "x" * 43
    write_token(mesh, "node-Rex.token", bad)
    wrong = look(mesh, "token")["token"]
    assert "node-Rex.token: this token is wrong" in wrong["fact"]
    assert bad not in json.dumps(wrong)
    issued = mesh("token", "new", "--role", "node", "--name", "Rex").stdout
    write_token(mesh, "node-Rex.token", issued)
    assert look(mesh, "token")["token"]["mark"] == "ok"


def test_a_certificate_that_ends_and_a_pin_that_does_not_fit_are_told(
    mesh: Mesh, hub: HubProcess, tmp_path: Path
) -> None:
    cert, key = self_signed(tmp_path, "hub", days=3)
    hub.env |= {"MESH_HUB__TLS_CERT": str(cert), "MESH_HUB__TLS_KEY": str(key)}
    hub.start()
    tls = f'tls_cert = "{cert}"\ntls_key = "{key}"\n'
    bind = hub.hub.url.partition("://")[2]
    configure(mesh, f'[hub]\nrun = true\nbind = "{bind}"\n{tls}')
    found = look(mesh, "hub", "tls", "token")
    assert found["hub"]["mark"] == found["token"]["mark"] == "ok"
    assert "ends in 3 days" in found["tls"]["fact"]
    (mesh.home / "hub-cert.pem").write_text(cert.read_text())
    (mesh.home / "hub-cert.pem").chmod(0o600)
    configure(mesh, f'[hub]\nurl = "https://{bind}"\npin = "{"0" * 64}"\n')
    assert "belong together" in look(mesh, "tls")["tls"]["fact"]


def test_a_port_open_to_others_is_found_where_the_configuration_says_otherwise(
    mesh: Mesh, hub: HubProcess, tmp_path: Path
) -> None:
    cert, key = self_signed(tmp_path, "hub")
    hub.env |= {
        "MESH_HUB__TLS_CERT": str(cert),
        "MESH_HUB__TLS_KEY": str(key),
        "MESH_HUB__BIND": "0.0.0.0:0",
    }
    hub.start()
    configure(mesh, "[hub]\nrun = true\n")
    found = look(mesh, "listening")["listening"]
    assert found["mark"] == "fail"
    assert "0.0.0.0" in found["fact"]


CLAUDES: list[tuple[str, str, str]] = [
    ("claude", "echo '1.0.9 (Claude Code)'", "or newer is needed"),
    ("claude", "echo hello", "does not say its version"),
    ("claude", "exec sleep 60", "no answer"),
    (
        "claude-login",
        '[ "$1" = auth ] && echo \'{"loggedIn": false}\' && exit 1; echo "2.1.330 (Claude Code)"',
        "is not logged in",
    ),
    (
        "claude-login",
        '[ "$1" = auth ] && exec sleep 60; echo "2.1.330 (Claude Code)"',
        "does not say whether",
    ),
]


@pytest.mark.parametrize(("check", "script", "fact"), CLAUDES)
def test_a_claude_that_does_not_serve_is_told(
    mesh: Mesh, tmp_path: Path, check: str, script: str, fact: str
) -> None:
    program = tool(tmp_path / "bin", "claude", script)
    configure(mesh, f'[agent]\nrun = true\nclaude = "{program}"\n')
    found = look(mesh, check, patient="sleep" not in script)[check]
    assert fact in found["fact"] or found["fact"] == "no answer within 2 s"
    assert found["remedy"]
    if "sleep" not in script:
        assert fact in found["fact"]
        assert str(program) in found["remedy"]


def test_claude_gets_its_own_settings_and_no_token_of_ours(mesh: Mesh, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    program = tool(tmp_path / "bin", "claude", f'env >> {seen}; echo "2.1.330 (Claude Code)"')
    configure(mesh, f'[agent]\nrun = true\nclaude = "{program}"\n[agent.env]\nMINE = "yes"\n')
    canary = "mesh_operator_0123456789ab_" + "c" * 43
    secrets = {"MESH_TOKEN": canary, "ANTHROPIC_API_KEY": "surrounding", "CLAUDE_X": "y"}
    mesh("doctor", "--only", "claude", env=secrets)
    text = seen.read_text()
    assert "MINE=yes" in text
    for secret in (canary, "surrounding", "CLAUDE_X"):
        assert secret not in text


@pytest.mark.claude
def test_the_real_claude_is_found_and_says_that_nobody_is_logged_in(
    mesh: Mesh, claude_cli: Path
) -> None:
    configure(mesh, f'[agent]\nrun = true\nclaude = "{claude_cli}"\n')
    found = look(mesh, "claude", "claude-login")
    assert found["claude"]["mark"] == "ok"
    assert found["claude-login"]["fact"] == "Claude Code is not logged in"
    env = '[agent.env]\nANTHROPIC_API_KEY = "not a key"\n'
    configure(mesh, f'[agent]\nrun = true\nclaude = "{claude_cli}"\n{env}')
    assert "api_key" in look(mesh, "claude-login")["claude-login"]["fact"]


def _bridge(mesh: Mesh, tmp_path: Path, osascript: str, chat_db: str = "chat.db") -> None:
    program = tool(tmp_path / "bin", "osascript", osascript)
    configure(
        mesh,
        f'[bridge]\nrun = true\nallow = ["+15551234567"]\nosascript = "{program}"\n'
        f'chat_db = "{tmp_path / chat_db}"\n',
    )


def test_messages_that_cannot_be_read_are_told_with_what_to_grant(
    mesh: Mesh, tmp_path: Path
) -> None:
    _bridge(mesh, tmp_path, "exit 0")
    missing = look(mesh, "chat-db")["chat-db"]
    assert missing["mark"] == "fail"
    assert "Open Messages and sign in" in missing["remedy"]
    # What is there and cannot be opened, for whomever: as without the permission.
    with socket.socket(socket.AF_UNIX) as unopenable:
        unopenable.bind(str(tmp_path / "chat.db"))
    ghostty = Mesh({**mesh.env, "TERM_PROGRAM": "ghostty"})
    found = look(ghostty, "chat-db")["chat-db"]
    assert "does not let this program read" in found["fact"]
    assert "Full Disk Access" in found["remedy"]
    assert "ghostty" in found["remedy"]
    assert "mesh restart imsgd" in found["remedy"]


@pytest.mark.parametrize(
    ("script", "mark", "fact"),
    [
        ("cat > /dev/null", "ok", "can be controlled"),
        (
            "echo '0:57: execution error: Nicht autorisiert. (-1743)' >&2; exit 1",
            "fail",
            "Automation",
        ),
        ("echo '0:57: execution error: nicht offen (-600)' >&2; exit 1", "fail", "-600"),
        ("exec sleep 60", "warn", ""),
        ("sleep 60 & exec sleep 60", "warn", ""),
    ],
)
def test_messages_that_cannot_be_controlled_are_told(
    mesh: Mesh, tmp_path: Path, script: str, mark: str, fact: str
) -> None:
    _bridge(mesh, tmp_path, script)
    found = look(mesh, "automation", patient="sleep" not in script)["automation"]
    assert found["mark"] == mark
    assert fact in found["fact"]


def test_a_mac_that_goes_to_sleep_is_told(mesh: Mesh, tmp_path: Path) -> None:
    tool(tmp_path / "bin", "pmset", "echo ' sleep                1 (sleep prevented by powerd)'")
    env = {"PATH": f"{tmp_path / 'bin'}:{mesh.env['PATH']}"}
    done = mesh("doctor", "--only", "power", env=env)
    assert done.stdout.startswith("! power  this Mac sleeps after 1 idle minutes")
    assert "sudo pmset" in done.stdout


def test_a_block_for_another_mesh_is_found_in_the_profile(mesh: Mesh, tmp_path: Path) -> None:
    other = {"MESH_HOME": str(tmp_path / "other")}
    mesh("install", "zprofile", env=other)
    found = look(mesh, "login")["login"]
    assert found["remedy"] == "mesh install zprofile"
    assert mesh("install", "zprofile").returncode == 0
    assert look(mesh, "login")["login"]["mark"] == "ok"


def test_a_damaged_database_and_an_old_backup_are_told(mesh: Mesh, hub: HubProcess) -> None:
    configure(mesh, "[hub]\nrun = true\n")
    assert mesh("backup").returncode == 0
    assert look(mesh, "database", "backups")["database"]["mark"] == "ok"
    (backup,) = (mesh.home / "backups").iterdir()
    os.utime(backup, (1, 1))
    assert look(mesh, "backups")["backups"]["mark"] == "fail"
    assert mesh("backup").returncode == 0
    assert look(mesh, "backups")["backups"]["mark"] == "ok"
    database = mesh.home / "hub.db"
    content = bytearray(database.read_bytes())
    content[4096:8192] = b"x" * 4096
    database.write_bytes(bytes(content))
    found = look(mesh, "database")["database"]
    assert found["mark"] == "fail"
    assert "mesh restore" in found["remedy"]


def test_a_process_that_outlived_its_agent_is_found(mesh: Mesh) -> None:
    work = mesh.home / "work" / "7"
    work.mkdir(parents=True, mode=0o700)
    child = subprocess.Popen(["sleep", "60"], cwd=work, env={**mesh.env, "MESH_ATTEMPT": "9"})
    try:
        found = look(mesh, "orphans")["orphans"]
        assert found["mark"] == "warn"
        assert f"kill {child.pid}" in found["remedy"]
    finally:
        child.kill()
        child.wait()
    assert look(mesh, "orphans")["orphans"]["mark"] == "ok"


def test_the_list_names_every_check_and_an_unknown_one_is_refused(mesh: Mesh) -> None:
    listed = mesh("doctor", "--list").stdout
    assert "chat-db" in listed
    assert "(--deep)" in listed
    done = mesh("doctor", "--only", "nonsense")
    assert done.returncode == 2
    assert "mesh doctor --list" in done.stderr


FOREIGN = "\x1b[31mred\x1b[0m [bold]x[/bold]"


def test_what_others_wrote_steers_no_terminal(mesh: Mesh, hub: HubProcess) -> None:
    start(mesh, hub)
    mesh("hold", FOREIGN)
    done = mesh("doctor")
    assert "\x1b" not in done.stdout
