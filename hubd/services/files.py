"""Files that came with a text: kept until the tasks that use them had time to run."""

from __future__ import annotations

from dataclasses import dataclass

from hubd.domain.actors import Actor


@dataclass(frozen=True, slots=True)
class StoredFile:
    id: str
    name: str
    media_type: str
    content: bytes


class Files:
    async def put(self, content: bytes, *, name: str, media_type: str, by: Actor) -> str:
        """The id to name in `InboundMessage.files`. Raises StorageFullError."""
        raise NotImplementedError

    async def get(self, file_id: str) -> StoredFile:
        """Raises NotFoundError."""
        raise NotImplementedError
