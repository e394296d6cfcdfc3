"""`mesh init` writes a machine that works, once."""

from __future__ import annotations

import contextlib
import os
import pty
import stat
import subprocess
import tomllib
from pathlib import Path

from tests.contract.cli.conftest import MESH, Mesh


def mode_of(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))[2:]


def test_everything_written_is_private_and_complete(mesh: Mesh) -> None:
    mesh.ok("init", "--yes", "--name", "Rex", "--allow", "+1 (555) 555-0100")

    modes = {
        str(path.relative_to(mesh.home)): mode_of(path)
        for path in mesh.home.rglob("*")
        if path.suffix in (".toml", ".token", ".db") or path.is_dir()
    }
    assert modes == {
        "mesh.toml": "600",
        "hub.db": "600",
        "logs": "700",
        "tokens": "700",
        "tokens/operator.token": "600",
        "tokens/node-Rex.token": "600",
        "tokens/bridge.token": "600",
    }
    assert tomllib.loads((mesh.home / "mesh.toml").read_text()) == {
        "hub": {"run": True, "bind": "127.0.0.1:8420"},
        "agent": {"run": True, "name": "Rex", "slots": 2, "runner": "claude"},
        "bridge": {"run": True, "allow": ["+1 (555) 555-0100"]},
    }
    assert mesh.ok("config", "check") == f"{mesh.home}/mesh.toml is good.\n"


def test_a_second_run_changes_nothing_and_says_so(mesh: Mesh) -> None:
    mesh.ok("init", "--yes", "--name", "Rex")
    before = {path: path.read_bytes() for path in mesh.home.rglob("*.token")}
    config = (mesh.home / "mesh.toml").read_bytes()

    said = mesh.ok("init", "--yes")

    assert said.startswith("Everything is there; nothing changed.")
    assert {path: path.read_bytes() for path in mesh.home.rglob("*.token")} == before
    assert (mesh.home / "mesh.toml").read_bytes() == config


def test_a_later_run_adds_what_is_missing_and_leaves_the_rest(mesh: Mesh) -> None:
    mesh.ok("init", "--yes", "--name", "Rex")
    operator = (mesh.home / "tokens/operator.token").read_bytes()
    (mesh.home / "tokens/node-Rex.token").unlink()

    said = mesh.ok("init", "--yes")

    assert f"wrote {mesh.home}/tokens/node-Rex.token\n" in said
    assert (mesh.home / "tokens/operator.token").read_bytes() == operator


def test_a_later_run_changes_what_its_options_say_and_nothing_else(mesh: Mesh) -> None:
    mesh.ok("init", "--yes", "--name", "Rex", "--allow", "+15555550100")
    file = mesh.home / "mesh.toml"
    file.write_text(f"# mine\n{file.read_text()}")

    said = mesh.ok("init", "--yes", "--self", "ada@example.org", "--allow", "+15555550101",
                   "--runner", "rehearsal", "--slots", "2")  # fmt: skip

    assert said.startswith("changed agent.runner, bridge.allow, bridge.self_handles in ")
    assert "mesh restart" in said
    assert file.read_text().startswith("# mine\n")
    assert tomllib.loads(file.read_text()) == {
        "hub": {"run": True, "bind": "127.0.0.1:8420"},
        "agent": {"run": True, "name": "Rex", "slots": 2, "runner": "rehearsal"},
        "bridge": {
            "run": True,
            "allow": ["+15555550100", "+15555550101"],
            "self_handles": ["ada@example.org"],
        },
    }


def test_a_later_run_with_a_bad_option_leaves_the_file_as_it_was(mesh: Mesh) -> None:
    mesh.ok("init", "--yes", "--name", "Rex")
    before = (mesh.home / "mesh.toml").read_bytes()

    for options in (["--allow", "me"], ["--name", "a b"], ["--bind", "nowhere"]):
        done = mesh("init", "--yes", *options)
        assert done.returncode == 1, options
        assert done.stderr.startswith("mesh: "), options

    assert (mesh.home / "mesh.toml").read_bytes() == before


def test_the_file_explains_every_key_it_sets(mesh: Mesh) -> None:
    mesh.ok("init", "--yes", "--name", "Rex")

    lines = (mesh.home / "mesh.toml").read_text().splitlines()

    for number, line in enumerate(lines):
        if "=" in line and not line.startswith("#"):
            assert lines[number - 1].startswith("# "), line


def test_in_a_terminal_it_asks(mesh: Mesh) -> None:
    answers = ["y", "y", "y", "Rex", "many", "3", "+15555550100"]
    terminal, inner = pty.openpty()
    asking = subprocess.Popen(
        [*MESH, "init"], env=dict(mesh.env), stdin=inner, stdout=inner, stderr=inner
    )
    os.close(inner)
    seen = b""
    for answer in answers:
        while not seen.rstrip().endswith((b":", b"]:")):
            seen += os.read(terminal, 4096)
        os.write(terminal, answer.encode() + b"\n")
        seen = os.read(terminal, 4096).partition(b"\n")[2]
    with contextlib.suppress(OSError):  # a terminal whose other side is closed
        while os.read(terminal, 4096):
            pass
    os.close(terminal)

    assert asking.wait(timeout=20) == 0
    config = tomllib.loads((mesh.home / "mesh.toml").read_text())
    assert config["agent"] == {"run": True, "name": "Rex", "slots": 3, "runner": "claude"}
    assert config["bridge"] == {"run": True, "allow": ["+15555550100"]}


def test_a_machine_without_the_hub_is_told_to_join(mesh: Mesh) -> None:
    said = mesh.ok("init", "--yes", "--hub-url", "https://hub.example", "--name", "Rex")

    assert "mesh join" in said
    assert not (mesh.home / "hub.db").exists()


def test_bad_answers_are_refused_before_anything_is_written(mesh: Mesh) -> None:
    refused = {
        ("--name", "no good"): "cannot name a node",
        ("--allow", "5550100"): "neither a mail address nor a phone number",
        ("--bridge",): "whom to hear",
        ("--no-hub",): "needs its address",
    }
    for arguments, sentence in refused.items():
        done = mesh("init", "--yes", *arguments)

        assert done.returncode == 1, arguments
        assert done.stderr.startswith("mesh: ")
        assert sentence in done.stderr
        assert done.stderr.count("\n") == 1
    assert list(mesh.home.iterdir()) == []


def test_a_folder_others_may_read_is_refused(mesh: Mesh) -> None:
    mesh.home.chmod(0o755)

    done = mesh("init", "--yes")

    assert done.returncode == 78
    assert (
        done.stderr == f"mesh: {mesh.home} can be read by other users. Run: chmod 700 {mesh.home}\n"
    )
