"""Tokens from the console, backups and the way back, and databases that cannot be used."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from common.client import HubError, NodeApi, OperatorApi
from common.clock import SystemClock
from common.wire.admin import Role
from common.wire.nodes import Claim, Heartbeat, PostResult, RegisterNode, StartAttempt
from common.wire.tasks import SubmitTask
from hubd.ops.backup import backups_in, make_backup, too_many
from hubd.ops.identity import DatabaseReplacedError, Identity, check_identity
from hubd.store.migrate import migrations
from tests.contract.hubd.harness import (
    HubProcess,
    RunningHub,
    issue,
    local_hub,
    run_hubd,
    until_now,
)


def _sentence(process_stderr: str) -> str:
    (line,) = process_stderr.splitlines()
    assert line.startswith("mesh-hubd: ")
    return line


def test_a_token_from_the_console_works_at_once_and_its_revocation_too(
    hub_process: HubProcess, hub_env: dict[str, str]
) -> None:
    made = run_hubd(hub_env, "token", "new", "--role", "viewer", "--name", "phone")
    assert (made.returncode, made.stderr) == (0, "")
    token = made.stdout.strip()
    assert token.startswith("mesh_viewer_")

    hub_process.start()
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=hub_process.hub.url, headers=headers, trust_env=False) as client:
        assert client.get("/v1/nodes").status_code == 200
        listed = run_hubd(hub_env, "token", "list").stdout
        assert "phone" in listed
        assert token not in listed
        assert run_hubd(hub_env, "token", "revoke", token.split("_")[2]).returncode == 0
        assert client.get("/v1/nodes").status_code == 401


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("token", "new", "--role", "king"), 2, "king"),
        (("token", "new"), 2, "--role"),
        (("token", "new", "--role", "node"), 1, "name"),
        (("restore", "/nowhere.db"), 2, "/nowhere.db"),
        (("fly",), 2, "fly"),
    ],
)
def test_what_the_console_cannot_do_it_says_without_a_traceback(
    hub_env: dict[str, str], args: tuple[str, ...], code: int, said: str
) -> None:
    ended = run_hubd(hub_env, *args)
    assert ended.returncode == code
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"MESH_HUB__BIND": "0.0.0.0:0"}, "hub.tls_cert"),
        ({"MESH_HUB__BIND": "192.0.2.1:8420"}, "hub.tls_cert"),
        ({"MESH_HUB__BIND": "127.0.0.1"}, "127.0.0.1:8420"),
        ({"MESH_HUB__TLS_CERT": "/nowhere.pem"}, "hub.tls_key"),
        ({"MESH_HUB__TLS_CERT": "/no.pem", "MESH_HUB__TLS_KEY": "/no.pem"}, "cannot be used"),
        ({"MESH_HUB__BIMD": "x"}, "bind"),
    ],
)
def test_a_configuration_that_cannot_serve_is_refused_with_the_remedy(
    hub_env: dict[str, str], setting: dict[str, str], said: str
) -> None:
    ended = run_hubd({**hub_env, **setting})
    assert ended.returncode == 78
    assert said in _sentence(ended.stderr)


def test_a_taken_port_is_named(hub_process: HubProcess, hub_env: dict[str, str]) -> None:
    hub_process.start()
    other = hub_process.home.parent / "other"
    other.mkdir(mode=0o700)
    bind = hub_process.env["MESH_HUB__BIND"]
    ended = run_hubd({**hub_env, "MESH_HOME": str(other), "MESH_HUB__BIND": bind})
    assert ended.returncode == 78
    assert bind in _sentence(ended.stderr)


def test_a_folder_others_may_enter_is_refused(hub_env: dict[str, str], mesh_home: Path) -> None:
    mesh_home.chmod(0o755)
    ended = run_hubd(hub_env)
    assert ended.returncode == 78
    assert "chmod 700" in _sentence(ended.stderr)


def test_everything_it_writes_is_private(hub_process: HubProcess) -> None:
    hub_process.env["MESH_HUB__BACKUP_EVERY_S"] = "3600"
    hub_process.start()
    until_now(lambda: hub_process.logged("backup made"), "a backup")
    hub_process.stop()
    found = list(hub_process.home.rglob("*"))
    assert any(file.parent.name == "backups" for file in found)
    for file in found:
        mode = stat.S_IMODE(file.stat().st_mode)
        assert mode == (0o700 if file.is_dir() else 0o600), file


def test_a_database_of_a_newer_version_is_refused(hub_env: dict[str, str], mesh_home: Path) -> None:
    asyncio.run(issue(mesh_home, Role.VIEWER))
    with closing(sqlite3.connect(mesh_home / "hub.db")) as conn:
        conn.execute(f"PRAGMA user_version={migrations()[-1][0] + 1}")
    ended = run_hubd(hub_env)
    assert ended.returncode == 78
    assert "newer" in _sentence(ended.stderr)


@pytest.mark.parametrize("damage", ["no database", "torn page"])
def test_a_damaged_database_is_refused_and_a_restore_named(
    hub_env: dict[str, str], mesh_home: Path, damage: str
) -> None:
    asyncio.run(issue(mesh_home, Role.VIEWER))
    database = mesh_home / "hub.db"
    if damage == "no database":
        database.write_bytes(b"this is not a database at all" * 100)
    else:
        with closing(sqlite3.connect(database)) as conn:
            conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        content = bytearray(database.read_bytes())
        for page in range(2, len(content) // 4096):
            content[page * 4096 : page * 4096 + 200] = b"\xff" * 200
        database.write_bytes(content)
    ended = run_hubd(hub_env)
    assert ended.returncode == 78
    assert "restore" in _sentence(ended.stderr)


def test_a_hub_whose_database_is_gone_does_not_begin_anew(
    hub_env: dict[str, str], mesh_home: Path
) -> None:
    asyncio.run(issue(mesh_home, Role.VIEWER))
    (mesh_home / "hub.db").unlink()
    ended = run_hubd(hub_env)
    assert ended.returncode == 78
    assert "is gone" in _sentence(ended.stderr)
    assert not (mesh_home / "hub.db").exists()


def test_a_deleted_or_replaced_file_is_noticed(tmp_path: Path) -> None:
    database = tmp_path / "hub.db"
    database.write_bytes(b"one")
    opened = Identity.of(database)
    check_identity(database, opened)
    copy = tmp_path / "copy.db"
    shutil.copy(database, copy)
    os.replace(copy, database)
    with pytest.raises(DatabaseReplacedError, match="was replaced"):
        check_identity(database, opened)
    database.unlink()
    with pytest.raises(DatabaseReplacedError, match="moved or deleted"):
        check_identity(database, opened)


async def test_a_hub_whose_database_was_replaced_stops_with_that_error(
    mesh_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubd.ops.identity.CHECK_EVERY_S", 0.01)

    async def run_until_replaced() -> None:
        async with local_hub(mesh_home) as hub:
            shutil.copy(mesh_home / "hub.db", mesh_home / "copy.db")
            os.replace(mesh_home / "copy.db", mesh_home / "hub.db")
            assert hub.ended
            async with asyncio.timeout(10):
                await hub.ended

    with pytest.raises(DatabaseReplacedError):
        await run_until_replaced()


async def test_backups_are_whole_private_and_only_so_many(hub: RunningHub, mesh_home: Path) -> None:
    operator = OperatorApi(await hub.client())
    folder = mesh_home / "backups"
    async with operator.client:
        for number in range(4):
            await operator.submit(SubmitTask(prompt="x"), idempotency_key=str(number))
            made = await make_backup(mesh_home / "hub.db", folder, clock=SystemClock(), keep=3)
            with closing(sqlite3.connect(made)) as conn:
                assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                assert conn.execute("SELECT count(*) FROM tasks").fetchall() == [(number + 1,)]
    assert len(backups_in(folder)) == 3
    assert len(list(folder.iterdir())) == 3


def test_the_oldest_backups_go_first() -> None:
    files = [Path(name) for name in "abcde"]
    assert too_many(files, 2) == files[:3]
    assert too_many(files, 9) == []


async def _work(hub: RunningHub, count: int, first: int = 0) -> list[int]:
    """Run so many tasks to their end on a node; returns their fences."""
    operator = OperatorApi(await hub.client())
    node = NodeApi(await hub.client(Role.NODE, "Rex"), "Rex")
    fences = []
    async with operator.client, node.client:
        await node.register(RegisterNode(slots=1))
        for number in range(first, first + count):
            await operator.submit(SubmitTask(prompt="x"), idempotency_key=f"k{number}")
            await node.heartbeat(Heartbeat())
            (lease,) = (await node.claim(Claim(free_slots=1, wait_s=5))).leases
            await node.start(lease.fence, StartAttempt())
            await node.result(lease.fence, PostResult(outcome="ok", text="done"))
            fences.append(lease.fence)
    return fences


async def test_a_restored_hub_never_gives_out_an_old_fence_or_event_id(
    mesh_home: Path, hub_env: dict[str, str]
) -> None:
    async with local_hub(mesh_home) as hub:
        before = await _work(hub, 2)
        refused = await asyncio.to_thread(_busy_restore, hub_env, mesh_home)
        saved = await asyncio.to_thread(run_hubd, hub_env, "backup")
        assert saved.returncode == 0, saved.stderr
        lost = await _work(hub, 3, first=2)
        async with await hub.client() as client:
            old_id = (await OperatorApi(client).snapshot()).last_event_id
    assert refused is None
    tokens = hub.tokens
    restored = await asyncio.to_thread(run_hubd, hub_env, "restore", saved.stdout.strip())
    assert restored.returncode == 0, restored.stderr
    assert list(mesh_home.glob("hub.db.before-*"))
    async with local_hub(mesh_home) as hub:
        hub.tokens = tokens
        after = await _work(hub, 3, first=10)
        assert min(after) > max(before + lost)
        async with await hub.client() as client:
            assert (await OperatorApi(client).snapshot()).last_event_id != old_id
            headers = {"Last-Event-ID": old_id}
            response = await client.raw.get("/v1/events", headers=headers)
            assert "event: reset" in response.text
            node = NodeApi(await hub.client(Role.NODE, "Rex"), "Rex")
            async with node.client:
                with pytest.raises(HubError) as stale:
                    await node.result(lost[-1], PostResult(outcome="ok"))
            assert stale.value.hub_status in {404, 409}


def _busy_restore(env: dict[str, str], home: Path) -> None:
    """The hub of a test runs in the test's process without the lock, so this takes it."""
    from common.proc import single_instance

    backup = home.parent / "some.db"
    shutil.copy(home / "hub.db", backup)
    with single_instance(home / "hubd.lock", "hubd"):
        ended = run_hubd(env, "restore", str(backup))
    assert ended.returncode == 75
    assert "already running" in ended.stderr
    backup.unlink()


@pytest.mark.parametrize("kind", ["text", "other database", "truncated"])
def test_only_a_sound_backup_of_a_hub_is_restored(
    hub_env: dict[str, str], mesh_home: Path, tmp_path: Path, kind: str
) -> None:
    asyncio.run(issue(mesh_home, Role.VIEWER))
    made = run_hubd(hub_env, "backup").stdout.strip()
    bad = tmp_path / "bad.db"
    if kind == "text":
        bad.write_text("hello " * 1000)
    elif kind == "other database":
        with closing(sqlite3.connect(bad)) as conn:
            conn.execute("CREATE TABLE t (x)")
    else:
        whole = Path(made).read_bytes()
        bad.write_bytes(whole[: len(whole) // 2])
    before = (mesh_home / "hub.db").read_bytes()
    ended = run_hubd(hub_env, "restore", str(bad))
    assert ended.returncode == 1
    assert str(bad) in _sentence(ended.stderr)
    assert (mesh_home / "hub.db").read_bytes() == before


def test_looking_for_tokens_makes_no_database(hub_env: dict[str, str]) -> None:
    for arguments in (["token", "list"], ["token", "revoke", "0123456789ab"]):
        refused = run_hubd(hub_env, *arguments)
        assert refused.returncode == 78
        assert "no hub's database here" in refused.stderr
    assert not (Path(hub_env["MESH_HOME"]) / "hub.db").exists()
    assert run_hubd(hub_env, "token", "new", "--role", "viewer").returncode == 0
    unknown = run_hubd(hub_env, "token", "revoke", "nosuch")
    assert unknown.returncode == 1
    assert "nosuch" in unknown.stderr
