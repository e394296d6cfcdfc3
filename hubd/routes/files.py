"""Files that came with a text."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct
from quart import Response, request

from common.filenames import disposition, with_ending
from common.wire.messages import StoredFileId
from hubd.errors import InvalidError, NotFoundError, StorageFullError
from hubd.routes.api import Api, Call, Kind, Nothing, read_body
from hubd.services.files import Files


class FileName(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the file was called where it came from."""

    name: Annotated[str, Meta(min_length=1, max_length=255)] = "file"


def add(api: Api, files: Files) -> None:
    """Register the routes."""

    @api.route(
        "POST /v1/files",
        query=FileName,
        answers={201: StoredFileId},
        errors=(InvalidError, StorageFullError),
        raw_body=True,
        new_work=True,
    )
    async def put_file(call: Call[Nothing, FileName]) -> StoredFileId:
        """Hand in a file of at most 20 MB as the raw body, under its own media type if known."""
        content = await read_body(request)
        if not content:
            raise InvalidError("the file is empty: send its bytes as the body")
        media_type = request.mimetype or "application/octet-stream"
        return StoredFileId(
            id=await files.put(content, name=call.query.name, media_type=media_type, by=call.actor)
        )

    @api.route(
        "GET /v1/files/<file_id>",
        answers={200: None},
        errors=(NotFoundError,),
        kind=Kind.BYTES,
    )
    async def get_file(call: Call[Nothing, Nothing], file_id: str) -> Response:
        """Fetch a file, with its name in `Content-Disposition`; never to be shown by a browser as
        what it claims to be."""
        stored = await files.get(file_id)
        response = Response(stored.content, content_type="application/octet-stream")
        name = with_ending(stored.name, stored.media_type)
        response.headers["Content-Disposition"] = disposition(name)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response
