"""The parent's decisions: pauses, wishes, whom a pid belongs to, logs that do not grow."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from cli.errors import CliError
from cli.parent import log_files, wishes
from cli.parent.log_lines import LogLine
from cli.parent.pauses import CAP_S, DEGRADED_S, MISCONFIGURED_S, Pauses
from cli.parent.plan import chosen, daemon_environment, plan
from cli.parent.record import Alive, ParentRecord, living_parent, lock_holder, write_record
from common.config import load_config
from common.paths import MeshPaths


@pytest.fixture
def paths(mesh_home: Path) -> MeshPaths:
    return MeshPaths(config_dir=mesh_home, state_dir=mesh_home)


def pauses() -> Pauses:
    return Pauses(rng=random.Random(1))


def test_a_daemon_that_was_told_to_end_starts_again_at_once() -> None:
    assert pauses().after(0, ran_s=30.0, now=0.0) == 0.0


def test_a_daemon_that_ends_well_at_once_does_not_spin() -> None:
    assert pauses().after(0, ran_s=0.1, now=0.0) > 0.0


def test_crashes_make_longer_and_longer_pauses_up_to_a_minute() -> None:
    crashing = pauses()

    waited = [crashing.after(1, ran_s=0.1, now=n * 1000.0) for n in range(12)]

    assert 0.2 <= waited[0] <= 1.0
    assert all(2.0 ** (n - 1) / 2.5 <= waited[n] <= min(2.0**n, CAP_S) for n in range(1, 6))
    assert all(CAP_S / 5 <= pause <= CAP_S for pause in waited[7:])


def test_more_than_five_crashes_in_ten_minutes_are_degraded_but_never_given_up() -> None:
    crashing = pauses()

    waited = [crashing.after(1, ran_s=0.1, now=n * 60.0) for n in range(100)]

    assert all(pause <= CAP_S for pause in waited[:5])
    assert waited[5:] == [DEGRADED_S] * 95


def test_a_healthy_hour_forgives() -> None:
    crashing = pauses()
    for n in range(4):
        crashing.after(1, ran_s=0.1, now=n * 1000.0)

    assert crashing.after(1, ran_s=3600.0, now=10_000.0) <= 1.0


def test_a_wrong_configuration_is_not_hammered() -> None:
    assert pauses().after(78, ran_s=0.3, now=0.0) == MISCONFIGURED_S
    assert pauses().after(75, ran_s=0.3, now=0.0) == MISCONFIGURED_S


def test_a_ring_forgets_what_failed() -> None:
    crashing = pauses()
    for n in range(10):
        crashing.after(1, ran_s=0.1, now=float(n))

    crashing.forget()

    assert crashing.fresh
    assert crashing.after(1, ran_s=0.1, now=10.0) <= 1.0


def test_wishes_are_kept_and_taken_back(paths: MeshPaths) -> None:
    wishes.wish_stopped(paths, ["hubd", "agentd"])
    wishes.wish_running(paths, ["hubd"])

    assert wishes.stopped(paths) == {"agentd"}
    wishes.wish_running(paths, ["agentd"])
    assert not wishes.wishes_file(paths).exists()


def test_a_reboot_ends_what_was_wished(paths: MeshPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    wishes.wish_stopped(paths, ["hubd"])
    booted = psutil.boot_time()

    monkeypatch.setattr(psutil, "boot_time", lambda: booted + 3600)

    assert wishes.stopped(paths) == frozenset()


def test_a_damaged_wish_stops_nothing(paths: MeshPaths) -> None:
    wishes.wishes_file(paths).write_text("{")

    assert wishes.stopped(paths) == frozenset()


def test_a_pid_that_is_used_again_is_not_the_same_process() -> None:
    me = Alive.of(os.getpid())
    assert me is not None

    assert me.process() is not None
    assert Alive(me.pid, me.created - 100).process() is None


def test_a_parent_that_is_gone_is_not_living(paths: MeshPaths) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    alive = Alive.of(ended.pid)
    ended.wait()
    assert alive is not None

    write_record(paths, ParentRecord(parent=alive, version="1"))

    assert living_parent(paths) is None


def test_a_lock_file_that_names_a_stranger_has_no_holder(paths: MeshPaths) -> None:
    lock = paths.lock_file("hubd")
    for text in ("", "nonsense", "0", "-1", str(os.getpid()), "4194304000"):
        lock.write_text(text)
        assert lock_holder(lock) is None, text


def test_a_record_of_another_version_is_ignored(paths: MeshPaths) -> None:
    (paths.state_dir / "parent.json").write_text('{"parent": "somebody"}')

    assert living_parent(paths) is None


def test_a_large_log_is_turned_over_and_the_writer_does_not_notice(paths: MeshPaths) -> None:
    writer = log_files.open_log(paths.logs_dir, "hubd")
    file = log_files.log_file(paths.logs_dir, "hubd")

    for number in range(8):
        os.write(writer, f"part {number}\n".encode())
        assert log_files.turn_over(file, max_bytes=3, kept=3)
    os.write(writer, b"now\n")
    os.close(writer)

    assert file.read_text() == "now\n"
    assert [old.read_text() for old in log_files.old_logs(file)] == [
        "part 5\n", "part 6\n", "part 7\n",
    ]  # fmt: skip
    assert {old.stat().st_mode & 0o777 for old in [file, *log_files.old_logs(file)]} == {0o600}


def test_a_small_or_missing_log_is_left(paths: MeshPaths) -> None:
    file = log_files.log_file(paths.logs_dir, "hubd")

    assert not log_files.turn_over(file)


def test_the_last_complaint_is_the_errors_own_sentence(paths: MeshPaths, tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text('{"event": "started"}\n{"event": "cannot go on", "error": "no token"}\n\n')
    assert log_files.last_complaint(log) == "no token"
    log.write_text("mesh-hubd: the port is taken\n")
    assert log_files.last_complaint(log) == "mesh-hubd: the port is taken"
    assert log_files.last_complaint(tmp_path / "none.log") is None


@pytest.mark.parametrize("text", ["", "[]", "1", "{", '"x"', '{"at": 5, "event": null}'])
def test_any_line_is_a_log_line(text: str) -> None:
    assert isinstance(LogLine.parse(text).complaint, str)


def test_the_plan_follows_the_configuration(mesh_home: Path) -> None:
    env = {
        "MESH_HOME": str(mesh_home),
        "MESH_HUB__RUN": "true",
        "MESH_AGENT__RUN": "true",
        "MESH_AGENT__NAME": "Rex",
        "MESH_AGENT__DRAIN_S": "5",
    }

    hub, agent = plan(load_config(env))

    assert (hub.name, agent.name) == ("hubd", "agentd")
    assert agent.lock_file.name == "agentd-Rex.lock"
    assert agent.stop_s == 15.0
    assert chosen((), [hub, agent]) == ["hubd", "agentd"]
    with pytest.raises(CliError, match="imsgd does not run on this machine"):
        chosen(("imsgd",), [hub, agent])


def test_a_persons_token_is_not_handed_to_daemons() -> None:
    assert daemon_environment({"MESH_TOKEN": "x", "MESH_TOKEN_FILE": "y", "MESH_HOME": "z"}) == {
        "MESH_HOME": "z"
    }
