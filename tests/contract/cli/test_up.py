"""`mesh up`, `down`, `restart`: daemons that live as long as they should, and no longer."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.contract.cli.conftest import Mesh, until


def alive(pid: int | None) -> bool:
    try:
        return pid is not None and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def of_this_mesh(mesh: Mesh) -> list[psutil.Process]:
    """Every living process that was started for this mesh, whoever its parent is."""
    found = []
    for process in psutil.process_iter():
        try:
            ours = process.environ().get("MESH_HOME") == str(mesh.home)
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def parts_running(mesh: Mesh) -> list[str]:
    """The parent and the daemons of this mesh; one that ends while it is looked at is not there."""
    words: list[str] = []
    for process in of_this_mesh(mesh):
        with suppress(psutil.Error):
            words += process.cmdline()
    parts = (word.rpartition(".")[2] for word in words if word in ("cli.parent", "hubd", "agentd"))
    return sorted(parts)


@pytest.fixture
def foreign(machine: Mesh) -> Iterator[subprocess.Popen[bytes]]:
    """Somebody else's process on the same machine."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def test_up_starts_everything_once_and_down_ends_exactly_that(
    machine: Mesh, foreign: subprocess.Popen[bytes]
) -> None:
    said = machine.ok("up")
    first = {name: machine.pid_of(name) for name in ("hubd", "agentd")}
    assert said == f"hubd runs (pid {first['hubd']})\nagentd runs (pid {first['agentd']})\n"

    machine.ok("up")

    assert {name: machine.pid_of(name) for name in first} == first
    assert machine.ok("down") == "Stopped hubd, agentd.\n"
    assert of_this_mesh(machine) == []
    assert foreign.poll() is None
    assert machine.ok("down") == "Nothing of it ran.\n"


def test_a_daemon_that_dies_is_started_again(machine: Mesh) -> None:
    machine.ok("up")
    killed = machine.pid_of("hubd")
    assert killed is not None

    os.kill(killed, signal.SIGKILL)

    until(lambda: machine.pid_of("hubd") not in (None, killed))
    daemon = machine.record()["daemons"]["hubd"]
    assert daemon["state"] in ("starting", "running")
    assert daemon["restarts"] == 1


def test_eight_shells_at_the_same_time_start_one_of_each(machine: Mesh) -> None:
    shells = [machine.start("up", "--quiet") for _ in range(8)]
    ends = [(*shell.communicate(timeout=50), shell.returncode) for shell in shells]

    assert ends == [("", "", 0)] * 8
    until(lambda: machine.pid_of("agentd"))
    until(lambda: parts_running(machine) == ["agentd", "hubd", "parent"])


def test_up_quiet_says_nothing_when_everything_runs(machine: Mesh) -> None:
    machine.ok("up")

    done = machine("up", "--quiet")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_was_stopped_by_hand_stays_so_until_asked_for(machine: Mesh) -> None:
    machine.ok("up")
    machine.ok("down")

    machine.ok("up", "--quiet")

    assert of_this_mesh(machine) == []
    machine.ok("up")
    assert alive(machine.pid_of("hubd"))


def test_one_daemon_is_stopped_and_started_alone(machine: Mesh) -> None:
    machine.ok("up")
    hub = machine.pid_of("hubd")

    assert machine.ok("down", "agentd") == "Stopped agentd.\n"
    assert machine.record()["daemons"]["agentd"]["state"] == "stopped"
    assert "agentd is stopped. mesh up agentd starts it" in machine.ok("status")
    assert machine.ok("up", "agentd").startswith("agentd runs (pid ")
    assert machine.pid_of("hubd") == hub


def test_restarting_one_daemon_gives_it_this_terminals_parent(machine: Mesh) -> None:
    machine.ok("up")
    parent, hub, agent = machine.record()["parent"]["pid"], *map(machine.pid_of, ("hubd", "agentd"))

    machine.ok("restart", "agentd")

    assert machine.pid_of("hubd") == hub
    assert machine.pid_of("agentd") != agent
    new_parent = machine.record()["parent"]["pid"]
    assert new_parent != parent
    assert psutil.Process(machine.pid_of("agentd")).ppid() == new_parent


def test_a_killed_parents_daemons_are_taken_over(machine: Mesh) -> None:
    machine.ok("up")
    parent, hub = machine.record()["parent"]["pid"], machine.pid_of("hubd")
    os.kill(parent, signal.SIGKILL)
    until(lambda: not alive(parent))

    machine.ok("up")

    assert machine.pid_of("hubd") == hub
    machine.ok("down")
    assert not alive(hub)
    assert of_this_mesh(machine) == []


def test_down_ends_what_a_killed_parent_left(machine: Mesh) -> None:
    machine.ok("up")
    parent = machine.record()["parent"]["pid"]
    os.kill(parent, signal.SIGKILL)
    until(lambda: not alive(parent))

    assert machine.ok("down") == "Stopped hubd, agentd.\n"
    assert of_this_mesh(machine) == []


def test_a_daemon_somebody_else_started_is_left_alone(machine: Mesh) -> None:
    by_hand = subprocess.Popen(
        [sys.executable, "-P", "-m", "hubd"],
        env=dict(machine.env),
        stderr=subprocess.DEVNULL,
    )
    until(
        lambda: (machine.home / "hubd.lock").exists() and (machine.home / "hubd.lock").read_text()
    )

    said = machine.ok("up")

    assert f"hubd runs (pid {by_hand.pid}), but was not started by mesh up" in said
    assert machine.ok("down") == "Stopped agentd.\n"
    assert by_hand.poll() is None
    by_hand.terminate()
    assert by_hand.wait(timeout=20) == 0


def test_a_daemon_that_cannot_start_is_named_with_its_own_sentence(machine: Mesh) -> None:
    token = machine.home / "tokens/node-Rex.token"
    kept = token.read_text()
    token.unlink()

    done = machine("up")

    assert done.returncode == 1
    assert "hubd runs" in done.stdout
    assert "agentd does not run: no token:" in done.stdout
    token.touch(mode=0o600)
    token.write_text(kept)
    assert "agentd runs" in machine.ok("up")


def test_a_machine_that_runs_nothing_says_so(mesh: Mesh) -> None:
    done = mesh("up")

    assert done.returncode == 78
    assert "this machine runs nothing: set hub.run, agent.run or bridge.run" in done.stderr


def test_down_lets_running_work_finish_unless_told_not_to(machine: Mesh) -> None:
    machine.ok("up")
    task = machine.json("submit", "[rehearse: 4s] a moment")["id"]
    until(lambda: machine.state_of(task) == "running")

    machine.ok("down", "agentd")

    assert machine.state_of(task) == "succeeded"
    machine.ok("up", "agentd")
    task = machine.json("submit", "[rehearse: 120s] long")["id"]
    until(lambda: machine.state_of(task) == "running")
    machine.ok("down", "--now", "agentd")
    assert machine.state_of(task) == "queued"


def test_daemons_get_neither_token_nor_terminal_and_write_private_logs(machine: Mesh) -> None:
    canary = f"mesh_operator_canary0_{'c' * 43}"

    machine.ok("up", MESH_TOKEN=canary)

    looked_at = 0
    for process in of_this_mesh(machine):
        try:
            command, environ = " ".join(process.cmdline()), process.environ()
            terminal = process.terminal()
        except psutil.Error:  # a daemon's short-lived child that ended meanwhile
            continue
        looked_at += 1
        assert canary not in command
        if "cli.parent" not in command:
            assert canary not in environ.values(), command
        assert terminal is None
    assert looked_at >= 3  # parent, hub and agent
    logs = sorted((machine.home / "logs").glob("*.log"))
    assert [log.name for log in logs] == ["agentd.log", "hubd.log", "parent.log"]
    assert {stat.S_IMODE(log.stat().st_mode) for log in logs} == {0o600}
    assert not any(canary in log.read_text() for log in logs)


def test_the_parent_looks_after_its_daemons_though_it_cannot_write(machine: Mesh) -> None:
    (machine.home / "parent.json").mkdir()
    parent = subprocess.Popen(
        [sys.executable, "-P", "-m", "cli.parent"], env=dict(machine.env), stderr=subprocess.DEVNULL
    )
    lock = machine.home / "hubd.lock"
    until(lambda: lock.exists() and alive(int(lock.read_text() or 0)))
    killed = int(lock.read_text())

    os.kill(killed, signal.SIGKILL)

    until(lambda: int(lock.read_text() or 0) not in (0, killed))
    parent.terminate()
    assert parent.wait(timeout=20) == 0
    assert of_this_mesh(machine) == []


@pytest.mark.shutdown
def test_the_parent_and_its_daemons_stop_in_time_with_streams_open(machine: Mesh) -> None:
    machine.ok("up")
    task = machine.json("submit", "[rehearse: 120s] long")["id"]
    watching = machine.start("watch", str(task))
    until(lambda: machine.state_of(task) == "running")
    hub = machine.pid_of("hubd")
    assert hub is not None
    started_at = time.monotonic()

    os.kill(hub, signal.SIGTERM)

    until(lambda: not alive(hub), within_s=10)
    assert time.monotonic() - started_at < 2.0
    until(lambda: machine.pid_of("hubd") not in (None, hub))
    machine.ok("down", "--now")
    watching.kill()
    watching.communicate()
    assert of_this_mesh(machine) == []


def test_waiting_for_a_task_outlasts_a_restart_of_the_hub(machine: Mesh) -> None:
    machine.ok("up")
    waiting = machine.start("submit", "--wait", "[rehearse: 5s] a moment")
    until(lambda: machine.ask("/v1/tasks?state=running")["tasks"])

    machine.ok("restart", "hubd")

    out, error = waiting.communicate(timeout=40)
    assert waiting.returncode == 0, error
    assert out.endswith("a moment\n")


def test_the_parents_lock_names_it_and_is_fresh(machine: Mesh) -> None:
    machine.ok("up")
    lock = machine.home / "parent.lock"

    assert int(lock.read_text()) == machine.record()["parent"]["pid"]
    os.utime(lock, (time.time() - 1000, time.time() - 1000))
    machine.ok("restart")
    assert time.time() - lock.stat().st_mtime < 60


def test_logs_are_merged_by_time_and_followed(machine: Mesh) -> None:
    machine.ok("up")

    shown = machine.ok("logs", "-n", "500")

    clocks = [line[:12] for line in shown.splitlines() if line[:1].isdigit()]
    assert clocks == sorted(clocks)
    assert "hubd    hub listening url=http://127.0.0.1:" in shown
    raw = machine.ok("logs", "hubd", "--json").splitlines()
    assert all(json.loads(line)["program"] == "mesh-hubd" for line in raw)
    following = machine.start("logs", "-f", "-n", "0")
    machine.ok("submit", "--wait", "x")
    assert following.stdout is not None
    line = ""
    while "attempt started" not in line:
        line = following.stdout.readline()
        assert line
    following.send_signal(signal.SIGINT)
    assert following.communicate(timeout=10)[1] == ""
    assert following.returncode == 0


def test_a_backup_brings_back_what_was(machine: Mesh, tmp_path: Path) -> None:
    machine.ok("up")
    before = machine.json("submit", "--wait", "before")["id"]
    backup = Path(machine.ok("backup").strip())
    after = machine.json("submit", "--wait", "after")["id"]
    assert str(backup) in machine.ok("backup", "--list")

    said = machine.ok("restore", str(backup), "--yes")

    assert said.startswith(f"Restored {backup}.\nhubd runs (pid ")
    assert machine.state_of(before) == "succeeded"
    assert machine("show", str(after)).returncode == 1
    assert machine.ok("submit", "--wait", "again")
    broken = tmp_path / "broken.db"
    broken.write_text("no database")
    done = machine("restore", str(broken), "--yes")
    assert done.returncode == 1
    assert "broken.db" in done.stderr
    assert "hubd runs" in machine.ok("up")
