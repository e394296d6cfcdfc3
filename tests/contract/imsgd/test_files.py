"""Files that come with a text are handed on with it."""

from __future__ import annotations

import plistlib
import time
from pathlib import Path

from imsgd.simulated.archive import with_attribute
from imsgd.simulated.store import NewRow, Written
from tests.contract.imsgd.bench import OWNER, OWNER_CHAT, Bench, until

PICTURE = bytes(range(256)) * 40


def _write(bench: Bench, text: str) -> Written:
    store = bench.world.store
    written = store.insert(NewRow(text, time.time(), handle=OWNER))
    store.join(written, OWNER_CHAT)
    return written


async def test_a_picture_goes_with_its_text(bench: Bench, tmp_path: Path) -> None:
    picture = tmp_path / "shed.png"
    picture.write_bytes(PICTURE)
    await bench.start()
    written = _write(bench, "\ufffcWhat is wrong here?")
    bench.world.store.attach(written, picture, mime_type="image/png")
    sticker = tmp_path / "sticker.png"
    bench.world.store.attach(written, sticker, is_sticker=1)
    [message] = await bench.hub.heard("What is wrong here?")
    assert [bench.hub.files[file_id] for file_id in message["files"]] == [
        ("shed.png", "image/png", PICTURE)
    ]


async def test_a_picture_still_on_its_way_is_waited_for(bench: Bench, tmp_path: Path) -> None:
    picture = tmp_path / "late.png"
    await bench.start()
    written = _write(bench, "\ufffc")
    attachment = bench.world.store.attach(written, None, mime_type="image/png")
    await bench.world.text("a newer one")
    await bench.hub.heard("a newer one")
    picture.write_bytes(PICTURE)
    bench.world.store.execute(
        "UPDATE attachment SET filename = ?, transfer_name = ?, transfer_state = 5 WHERE ROWID = ?",
        (str(picture), picture.name, attachment),
    )
    [message] = await bench.hub.heard("")
    assert bench.hub.files[message["files"][0]][2] == PICTURE


async def test_a_text_is_delivered_without_a_file_that_is_too_large_or_gone(
    bench: Bench, tmp_path: Path
) -> None:
    large = tmp_path / "film.mov"
    with large.open("wb") as file:
        file.truncate(21 * 1024 * 1024)
    await bench.start()
    written = bench.world.store.insert(NewRow("\ufffcTwo files", time.time(), handle=OWNER))
    bench.world.store.attach(written, large)
    bench.world.store.attach(written, tmp_path / "gone.txt")
    bench.world.store.join(written, OWNER_CHAT)
    [message] = await bench.hub.heard("Two files")
    assert message["files"] == []
    assert message["lost_files"] == ["film.mov", "gone.txt"]
    missed = "Your text went without film.mov, gone.txt: I could not hand it on."
    await until(lambda: bench.sent_texts == [missed])


async def test_a_file_that_failed_is_said_and_added_when_it_comes_after_all(
    new_bench: Bench, tmp_path: Path
) -> None:
    picture = tmp_path / "shed.png"
    await new_bench.start()
    store = new_bench.world.store
    written = store.insert(NewRow("\ufffcWhat is wrong here?", time.time(), handle=OWNER))
    number = store.attach(written, None, transfer_name="shed.png", transfer_state=6)
    store.join(written, OWNER_CHAT)
    [message] = await new_bench.hub.heard("What is wrong here?")
    assert (message["files"], message["lost_files"]) == ([], ["shed.png"])
    await until(lambda: new_bench.sent_texts)
    assert "went without shed.png, which did not arrive" in new_bench.sent_texts[0]
    await new_bench.kill()
    await new_bench.start()
    picture.write_bytes(PICTURE)
    store.execute(
        "UPDATE attachment SET filename = ?, transfer_state = 5 WHERE ROWID = ?",
        (str(picture), number),
    )
    [late] = await new_bench.hub.heard("")
    assert (late["change"], late["changes"]) == ("files", written.guid)
    assert new_bench.hub.files[late["files"][0]][2] == PICTURE


async def test_a_file_that_only_the_body_names_goes_with_its_text(
    new_bench: Bench, tmp_path: Path
) -> None:
    """15.7.7 wrote no join row: the guid stands in the body's attributes alone."""
    picture = tmp_path / "shed.png"
    picture.write_bytes(PICTURE)
    await new_bench.start()
    store = new_bench.world.store
    written = store.insert(NewRow("\ufffc", time.time(), handle=OWNER))
    guid = "at_0_0A1B2C3D-0000-4000-8000-0123456789AB"
    store.attach(written, picture, guid=guid, original_guid=guid, mime_type="image/png")
    store.execute("DELETE FROM message_attachment_join")
    body = with_attribute("\ufffc", "__kIMFileTransferGUIDAttributeName", guid)
    store.update(written.guid, attributedBody=body, cache_has_attachments=0)
    store.join(written, OWNER_CHAT)
    [message] = await new_bench.hub.heard("")
    assert [new_bench.hub.files[file_id][0] for file_id in message["files"]] == ["shed.png"]


async def test_a_file_without_any_row_is_said(new_bench: Bench) -> None:
    await new_bench.start()
    _write(new_bench, "\ufffc")
    [message] = await new_bench.hub.heard("")
    assert (message["files"], message["lost_files"]) == ([], ["a file"])


async def test_the_words_of_a_voice_memo_are_its_text(new_bench: Bench, tmp_path: Path) -> None:
    """Case `audio_transcript`: in the attachment, or in the body; a command by voice is one."""
    memo = tmp_path / "Audio Message.caf"
    memo.write_bytes(b"caff")
    await new_bench.start()
    store = new_bench.world.store
    first = _write(new_bench, "\ufffc")
    info = plistlib.dumps({"audio-transcription": "Water the plants."}, fmt=plistlib.FMT_BINARY)
    store.attach(first, memo, user_info=info)
    await new_bench.hub.heard("Water the plants.")
    body = with_attribute("\ufffc", "IMAudioTranscription", "Stop all.")
    columns = {"attributedBody": body, "is_audio_message": 1}
    second = store.insert(NewRow("x", time.time(), handle=OWNER, columns=columns))
    store.join(second, OWNER_CHAT)
    await new_bench.hub.heard("Stop all.")


async def test_a_voice_memo_without_words_is_a_file(new_bench: Bench, tmp_path: Path) -> None:
    memo = tmp_path / "Audio Message.caf"
    memo.write_bytes(b"caff")
    await new_bench.start()
    written = new_bench.world.store.insert(NewRow("\ufffc", time.time(), handle=OWNER))
    new_bench.world.store.attach(written, memo)
    new_bench.world.store.join(written, OWNER_CHAT)
    [message] = await new_bench.hub.heard("")
    assert len(message["files"]) == 1


async def test_a_file_that_is_too_slow_holds_no_text_up_for_ever(
    bench: Bench, tmp_path: Path
) -> None:
    picture = tmp_path / "shed.png"
    picture.write_bytes(PICTURE)
    bench.hub.slow_files = 3
    await bench.start()
    written = _write(bench, "\ufffcWhat is wrong here?")
    bench.world.store.attach(written, picture, mime_type="image/png")
    await bench.world.text("and another thing")
    await bench.hub.heard("What is wrong here?", "and another thing")
    await until(lambda: bench.sent_texts)
    assert "shed.png" in bench.sent_texts[0]


async def test_a_media_type_that_is_none_is_not_passed_on(bench: Bench, tmp_path: Path) -> None:
    picture = tmp_path / "shed.png"
    picture.write_bytes(PICTURE)
    await bench.start()
    written = _write(bench, "\ufffcWhat is this?")
    bench.world.store.attach(written, picture, mime_type="image/p\u00f1g\r\nx: y")
    [message] = await bench.hub.heard("What is this?")
    assert bench.hub.files[message["files"][0]][1] == "application/octet-stream"


async def test_an_apple_photo_becomes_a_jpeg_where_the_converter_is(
    bench: Bench, tmp_path: Path
) -> None:
    converters = tmp_path / "bin"
    converters.mkdir()
    sips = converters / "sips"
    sips.write_text('#!/bin/sh\nprintf "jpeg of " > "$6"\ncat "$4" >> "$6"\n')
    sips.chmod(0o700)
    bench.env["PATH"] = f"{converters}:{bench.env['PATH']}"
    photo = tmp_path / "IMG_0042.HEIC"
    photo.write_bytes(b"heic")
    await bench.start()
    written = _write(bench, "\ufffcWhere was this?")
    bench.world.store.attach(written, photo, mime_type="image/heic")
    [message] = await bench.hub.heard("Where was this?")
    assert bench.hub.files[message["files"][0]] == (
        "IMG_0042.jpeg",
        "image/jpeg",
        b"jpeg of heic",
    )
