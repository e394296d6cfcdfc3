"""Reading a message's files from the disk, in a form that everybody can open."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from imsgd.domain.attachments import MAX_BYTES, Attachment

logger = logging.getLogger(__name__)

CONVERT_S = 20.0
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)
_APPLE_PHOTOS = {".heic", ".heif"}


@dataclass(frozen=True, slots=True)
class LoadedFile:
    name: str
    media_type: str
    content: bytes


async def load(attachment: Attachment) -> LoadedFile | None:
    """The file, or None if it is gone or larger than the hub takes. Apple's photo format becomes
    JPEG where macOS's own converter is at hand."""
    path = Path(attachment.filename or "")
    loaded = await asyncio.to_thread(_read, path, attachment)
    if loaded is None or path.suffix.lower() not in _APPLE_PHOTOS:
        return loaded
    return await _as_jpeg(loaded) or loaded


def _read(path: Path, attachment: Attachment) -> LoadedFile | None:
    try:
        with path.expanduser().open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        logger.warning("file not readable", extra={"error": error.strerror})
        return None
    if len(content) > MAX_BYTES:
        logger.warning("file too large", extra={"limit": MAX_BYTES})
        return None
    media_type = attachment.media_type or ""
    if not _MEDIA_TYPE.fullmatch(media_type):  # it becomes a header, and Messages takes any text
        media_type = "application/octet-stream"
    return LoadedFile(attachment.shown_name, media_type, content)


async def _as_jpeg(photo: LoadedFile) -> LoadedFile | None:
    sips = shutil.which("sips")
    if sips is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "photo.heic", Path(folder) / "photo.jpeg"
        await asyncio.to_thread(source.write_bytes, photo.content)
        process = await asyncio.create_subprocess_exec(
            sips, "-s", "format", "jpeg", source, "--out", target,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with asyncio.timeout(CONVERT_S):
                await process.wait()
        except TimeoutError:
            logger.warning("photo not converted in time")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0 or not await asyncio.to_thread(target.exists):
            return None
        content = await asyncio.to_thread(target.read_bytes)
    return LoadedFile(f"{Path(photo.name).stem}.jpeg", "image/jpeg", content)
