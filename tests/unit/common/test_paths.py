"""Folders and private files."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from common.errors import AlreadyRunningError, ConfigError
from common.paths import MeshPaths, make_private_dir, read_private_file, write_private_file
from common.proc import single_instance


def test_mesh_home_puts_everything_under_one_folder(tmp_path: Path) -> None:
    paths = MeshPaths.from_env({"MESH_HOME": str(tmp_path), "HOME": "/nowhere"})
    assert paths.config_file == tmp_path / "mesh.toml"
    assert paths.hub_db == tmp_path / "hub.db"


def test_without_it_the_xdg_folders_are_used() -> None:
    paths = MeshPaths.from_env({"HOME": "/home/u", "XDG_STATE_HOME": "/state"})
    assert paths.config_file == Path("/home/u/.config/mesh/mesh.toml")
    assert paths.token_file("node", "Rex") == Path("/state/mesh/tokens/node-Rex.token")


def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(ConfigError, match="chmod 700"):
        make_private_dir(tmp_path)


def test_a_private_file_is_written_whole_and_read_back(tmp_path: Path) -> None:
    file = tmp_path / "operator.token"
    write_private_file(file, "one\n")
    write_private_file(file, "two\n")
    assert read_private_file(file) == "two\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_private_file_that_could_not_be_written_leaves_the_old_one_and_nothing_else(
    tmp_path: Path, full_disk: Callable[[], AbstractContextManager[None]]
) -> None:
    file = tmp_path / "operator.token"
    write_private_file(file, "one\n")
    with full_disk(), pytest.raises(OSError, match="too large"):
        write_private_file(file, "two\n")
    assert read_private_file(file) == "one\n"
    assert list(tmp_path.iterdir()) == [file]


def test_a_missing_private_file_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mesh init"):
        read_private_file(tmp_path / "none")


def test_only_one_daemon_holds_a_lock_and_the_next_learns_its_pid(mesh_home: Path) -> None:
    lock = mesh_home / "hubd.lock"
    with (
        single_instance(lock, "hubd"),
        pytest.raises(AlreadyRunningError, match=r"already running \(pid \d+\)") as caught,
        single_instance(lock, "hubd"),
    ):
        pass
    assert caught.value.exit_code == 75
    with single_instance(lock, "hubd"):
        pass
