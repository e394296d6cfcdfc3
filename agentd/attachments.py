"""Files that came with a text, put where the attempt can read them."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from common.client import HubError, HubUnreachableError
from common.client.http import Download
from common.paths import make_private_dir

logger = logging.getLogger(__name__)

FOLDER = "attachments"
TRIES = 5
RETRY_S = 1.0
NAME_CHARS = 80

_KINDS = (
    (b"\x89PNG", "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"GIF8", "gif"),
    (b"%PDF", "pdf"),
    (b"PK\x03\x04", "zip"),
)
_BRANDS = {b"heic": "heic", b"heix": "heic", b"mif1": "heic", b"qt  ": "mov", b"mp42": "mp4"}


class FileSource(Protocol):
    """What attachments need of the hub."""

    async def file(self, file_id: str) -> Download: ...


async def fetch(source: FileSource, ids: Sequence[str], folder: Path) -> list[str]:
    """Put each file below `folder`; returns their relative paths. One that cannot be had is left
    out: a text is worth more than its picture."""
    if not ids:
        return []
    target = make_private_dir(folder / FOLDER)
    (target / ".gitignore").write_text("*\n", encoding="utf-8")  # never part of a commit
    paths = []
    for number, file_id in enumerate(ids, start=1):
        download = await _fetched(source, file_id)
        if download is not None:
            name = file_name(download, number)
            await asyncio.to_thread((target / name).write_bytes, download.content)
            paths.append(f"{FOLDER}/{name}")
    return paths


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


def file_name(download: Download, number: int) -> str:
    """A plain name that begins with its number; programs go by the ending, so it has one."""
    base = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(download.name or "").name).strip("-.")
    base = base[-NAME_CHARS:]
    if not base:
        base = "file"
    if "." not in base and (ending := _ending(download.content)):
        base = f"{base}.{ending}"
    return f"{number}-{base}"


def _ending(content: bytes) -> str | None:
    if content[4:8] == b"ftyp":
        return _BRANDS.get(content[8:12], "mp4")
    return next((ending for magic, ending in _KINDS if content.startswith(magic)), None)


def prompt_with(prompt: str, paths: Sequence[str], missing: int) -> str:
    """The prompt, and after it what came along."""
    lines = [prompt]
    if paths:
        lines.append("Files that came with this text: " + ", ".join(paths))
    if missing:
        lines.append(f"({missing} more could not be fetched.)")
    return "\n\n".join(lines)
