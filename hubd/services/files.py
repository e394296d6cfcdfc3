"""Files that came with a text: kept until the tasks that use them had time to run."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from hubd.domain.actors import Actor
from hubd.errors import NotFoundError
from hubd.store import files
from hubd.store.database import Database
from hubd.store.transaction import Tx


@dataclass(frozen=True, slots=True)
class StoredFile:
    id: str
    name: str
    media_type: str
    content: bytes


class Files:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, content: bytes, *, name: str, media_type: str, by: Actor) -> str:
        """The id to name in `InboundMessage.files`. Raises StorageFullError."""
        file_id = secrets.token_hex(16)

        def run(tx: Tx) -> str:
            files.insert(tx.conn, file_id, name, media_type, content, tx.now)
            return file_id

        return await self._database.write(run)

    async def get(self, file_id: str) -> StoredFile:
        """Raises NotFoundError."""
        found = await self._database.read(lambda view: files.find(view.conn, file_id))
        if found is None:
            raise NotFoundError("there is no such file, or it was deleted after a week")
        return StoredFile(file_id, *found)
