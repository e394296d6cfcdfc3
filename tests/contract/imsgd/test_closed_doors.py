"""When macOS or the hub keeps a door shut: say what to do, stay up, recover by oneself."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from imsgd.courier import PANIC_ANSWER
from imsgd.simulated.modes import Mode
from tests.contract.imsgd.bench import OWNER_CHAT, Bench, until


def _shut(bench: Bench, how: str) -> Path:
    """Put something unreadable in the database's place; returns where the real one is."""
    real = bench.folder / "chat.db"
    aside = bench.folder / "aside.db"
    bench.world.store.restart()
    bench.world.store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    real.rename(aside)
    match how:
        case "refused":
            real.symlink_to(real.name)  # cannot be looked at, whoever asks
        case "garbage":
            real.write_bytes(b"this is no database, " * 100)
        case "empty":
            real.write_bytes(b"")
    return aside


def _open(bench: Bench, aside: Path) -> None:
    real = bench.folder / "chat.db"
    real.unlink(missing_ok=True)
    aside.replace(real)
    bench.world.store.restart()


PROBLEMS = {
    "missing": ("chat_db_missing", "Open Messages and sign in"),
    "refused": ("full_disk_access", "Full Disk Access"),
    "garbage": ("chat_db_invalid", "bridge.chat_db"),
    "empty": ("chat_db_schema", "bridge.chat_db"),
}


@pytest.mark.parametrize("how", list(PROBLEMS))
@pytest.mark.parametrize("when", ["at the start", "at run time"])
async def test_an_unreadable_database_is_reported_and_recovered_from(
    new_bench: Bench, how: str, when: str
) -> None:
    """AC27"""
    problem, remedy = PROBLEMS[how]
    await new_bench.start()
    if when == "at the start":
        await new_bench.stop()
    aside = _shut(new_bench, how)
    if when == "at the start":
        await new_bench.start(ready=False)
    await new_bench.hub.until(lambda: new_bench.hub.problems == [problem])
    report = new_bench.hub.reports[-1]
    assert report["state"] == "degraded"
    assert remedy in report["problems"][0]["remedy"]
    _open(new_bench, aside)
    await new_bench.world.text("Can you hear me?")
    await new_bench.hub.heard("Can you hear me?")
    await new_bench.hub.until(lambda: new_bench.hub.reports[-1]["state"] == "ok")


async def test_replies_wait_until_automation_is_allowed(new_bench: Bench) -> None:
    """AC27: -1743"""
    new_bench.world.set_mode(Mode.NOT_AUTHORISED)
    await new_bench.start()
    item = await new_bench.hub.say(OWNER_CHAT, "#1 done")
    await new_bench.hub.until(lambda: new_bench.hub.problems == ["automation_denied"])
    assert "Automation" in new_bench.hub.reports[-1]["problems"][0]["remedy"]
    new_bench.world.set_mode(Mode.OK)
    assert (await new_bench.hub.outcome(item))["outcome"] == "sent"
    await new_bench.hub.until(lambda: new_bench.hub.reports[-1]["state"] == "ok")
    assert [bubble.text for bubble in new_bench.world.bubbles] == ["#1 done"]


async def test_replies_wait_while_nothing_could_be_proven(new_bench: Bench) -> None:
    await new_bench.start()
    aside = _shut(new_bench, "missing")
    await new_bench.hub.until(lambda: new_bench.hub.problems == ["chat_db_missing"])
    item = await new_bench.hub.say(OWNER_CHAT, "#1 done")
    await until(lambda: "not sending without chat.db" in new_bench.log.read_text())
    assert new_bench.calls == []
    _open(new_bench, aside)
    assert (await new_bench.hub.outcome(item, timeout_s=30))["outcome"] == "sent"


async def test_the_check_names_the_remedy_and_fails(new_bench: Bench) -> None:
    """AC27"""
    code, lines = await _check(new_bench)
    assert (code, lines) == (0, [{"ok": True, "problems": 0}])
    _shut(new_bench, "refused")
    new_bench.world.set_mode(Mode.NOT_AUTHORISED)
    code, lines = await _check(new_bench)
    assert code == 1
    assert [line["problem"] for line in lines[:-1]] == ["full_disk_access", "automation_denied"]
    assert all(line["text"] and line["remedy"] for line in lines[:-1])


async def _check(bench: Bench) -> tuple[int, list[dict[str, object]]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "imsgd", "--check", env=bench.env, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, [json.loads(line) for line in output.splitlines()]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"MESH_BRIDGE__ALLOW": '["not a handle"]'}, "country code"),
        ({"MESH_BRIDGE__ALLOW": "[]"}, "bridge.allow"),
        ({"MESH_BRIDGE__POLL": "1"}, "poll_ms"),
        ({"MESH_BRIDGE__POLL_MS": "soon"}, "bridge.poll_ms"),
    ],
)
async def test_a_wrong_setting_is_named(
    new_bench: Bench, setting: dict[str, str], words: str
) -> None:
    new_bench.env.update(setting)
    await new_bench.start(ready=False)
    assert await new_bench.ended() == 78
    assert words in new_bench.events[-1]["error"]


async def test_stop_all_is_understood_while_the_hub_is_away(new_bench: Bench) -> None:
    await new_bench.hub.stop()
    await new_bench.start(ready=False)
    await new_bench.until_reading()
    await new_bench.world.text("Paint the house")
    await new_bench.world.text("Stop all!")
    await until(lambda: PANIC_ANSWER in new_bench.sent_texts)
    await new_bench.hub.start()
    await new_bench.hub.heard("Paint the house")
    assert new_bench.hub.texts == ["Stop all!", "Paint the house"]


async def test_stop_all_survives_a_crash_and_is_answered_once(new_bench: Bench) -> None:
    await new_bench.hub.stop()
    await new_bench.start(ready=False)
    await new_bench.until_reading()
    await new_bench.world.text("stop all")
    await until(lambda: any(b.text == PANIC_ANSWER for b in new_bench.world.bubbles))
    await new_bench.kill()
    await new_bench.start(ready=False)
    await until(lambda: '"event": "hub away"' in new_bench.log_since_start())
    await new_bench.hub.start()
    await new_bench.hub.heard("stop all")
    assert new_bench.hub.texts == ["stop all"]
    assert new_bench.sent_texts == [PANIC_ANSWER]


async def test_a_text_the_hub_refuses_does_not_hold_up_the_next(new_bench: Bench) -> None:
    await new_bench.start()
    new_bench.hub.message_answer = (422, {"error": "invalid", "message": "no."})
    await new_bench.world.text("refused")
    await until(lambda: len(new_bench.hub.posts) == 1)
    new_bench.hub.message_answer = None
    await new_bench.world.text("after")
    await new_bench.hub.heard("after")
    assert new_bench.hub.texts == ["after"]


async def test_a_text_is_kept_while_the_hub_is_in_trouble(new_bench: Bench) -> None:
    await new_bench.start()
    new_bench.hub.message_answer = (503, {"error": "busy", "message": "later."})
    await new_bench.world.text("patience")
    await until(lambda: len(new_bench.hub.posts) >= 2)
    new_bench.hub.message_answer = None
    await new_bench.hub.heard("patience")


async def test_the_log_holds_no_words_and_no_token(new_bench: Bench) -> None:
    await new_bench.start()
    await new_bench.world.text("a word nobody else should read")
    await new_bench.hub.heard("a word nobody else should read")
    item = await new_bench.hub.say(OWNER_CHAT, "an answer nobody else should read")
    await new_bench.hub.outcome(item)
    await new_bench.stop()
    log = new_bench.log.read_text()
    assert "nobody else" not in log
    assert new_bench.hub.token not in log
    ledger = b"".join(
        file.read_bytes() for file in Path(new_bench.env["MESH_HOME"]).glob("bridge.db*")
    )
    assert b"nobody else" not in ledger
