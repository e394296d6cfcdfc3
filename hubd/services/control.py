"""Hold and go, and the state as a whole."""

from __future__ import annotations

from common.wire.admin import Hold, SetHold
from common.wire.events import Snapshot
from hubd.domain.actors import Actor


class Control:
    async def hold(self, request: SetHold, *, by: Actor) -> Hold:
        """Stop or resume dispatch; running work goes on."""
        raise NotImplementedError

    async def get_hold(self) -> Hold:
        raise NotImplementedError

    async def snapshot(self) -> Snapshot:
        """One consistent read; `last_event_id` is where its events continue."""
        raise NotImplementedError

    async def audit(self, type_: str, *, by: str, detail: dict[str, str]) -> None:
        """Append an audit event: a login failure, a backup."""
        raise NotImplementedError
