"""Files that came with a text, put where the attempt can read them."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from common.client import HubError, HubUnreachableError
from common.client.http import Download
from common.filenames import ENDING, numbered, safe_name
from common.paths import make_private_dir

logger = logging.getLogger(__name__)

FOLDER = "attachments"
TRIES = 5
RETRY_S = 1.0
IGNORE = "*\n"

_KINDS = (
    (b"\x89PNG", "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"GIF8", "gif"),
    (b"%PDF", "pdf"),
    (b"PK\x03\x04", "zip"),
)
_BRANDS = {
    b"heic": "heic",
    b"heix": "heic",
    b"mif1": "heic",
    b"qt  ": "mov",
    b"mp42": "mp4",
    b"M4A ": "m4a",
}


class FileSource(Protocol):
    """What attachments need of the hub."""

    async def file(self, file_id: str) -> Download: ...


async def fetch(source: FileSource, ids: Sequence[str], folder: Path) -> list[str]:
    """Put each file below `folder`; returns their relative paths. One that cannot be had is left
    out: a text is worth more than its picture."""
    if not ids:
        return []
    target = _own_folder(folder)
    paths = []
    for file_id in ids:
        download = await _fetched(source, file_id)
        if download is not None:
            path = await asyncio.to_thread(_put, target, file_name(download), download.content)
            paths.append(str(path.relative_to(folder)))
    return paths


def _own_folder(folder: Path) -> Path:
    """A project may have a folder of that name: its files are not ours to write beside."""
    for number in itertools.count(1):
        target = folder / (FOLDER if number == 1 else f"{FOLDER}-{number}")
        ignored = target / ".gitignore"
        if not target.exists() and not target.is_symlink():
            make_private_dir(target)
            ignored.write_text(IGNORE, encoding="utf-8")  # never part of a commit
            return target
        if not target.is_symlink() and ignored.is_file() and ignored.read_text() == IGNORE:
            return target
    raise AssertionError("unreachable")


def _put(folder: Path, name: str, content: bytes) -> Path:
    """Write under that name, or the next one: a follow-up in the same folder, or one text, may
    bring two different files of one name."""
    for number in itertools.count(1):
        path = folder / (name if number == 1 else numbered(name, number))
        try:
            with path.open("xb") as file:
                file.write(content)
        except FileExistsError:
            if path.is_symlink() or not path.is_file() or path.read_bytes() != content:
                continue
        return path
    raise AssertionError("unreachable")


async def _fetched(source: FileSource, file_id: str) -> Download | None:
    for _ in range(TRIES):
        try:
            return await source.file(file_id)
        except HubUnreachableError:
            await asyncio.sleep(RETRY_S)
        except HubError as error:
            logger.warning("attachment refused", extra={"error": error.message})
            return None
    logger.warning("attachment not fetched", extra={"tries": TRIES})
    return None


def file_name(download: Download) -> str:
    """Its whole name; programs go by the ending, so it gets one where its content tells."""
    name = safe_name(download.name or "")
    ending = None if ENDING.search(name) else _ending(download.content)
    return f"{name}.{ending}" if ending else name


def _ending(content: bytes) -> str | None:
    if content[4:8] == b"ftyp":
        return _BRANDS.get(content[8:12], "mp4")
    return next((ending for magic, ending in _KINDS if content.startswith(magic)), None)


def prompt_with(prompt: str, paths: Sequence[str], missing: int) -> str:
    """The prompt, and after it what came along."""
    lines = [prompt]
    if paths:
        lines.append("Files that came with this text:\n" + "\n".join(paths))
    if missing:
        lines.append(f"({missing} more could not be fetched.)")
    return "\n\n".join(lines)
