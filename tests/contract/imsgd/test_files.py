"""Files that come with a text are handed on with it."""

from __future__ import annotations

import time
from pathlib import Path

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
