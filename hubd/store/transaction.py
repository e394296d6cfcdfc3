"""One write transaction as store functions and services see it."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from common.clock import to_datetime
from common.wire.events import NO_RECORD, Entity, Event

INSERT_EVENT = """
INSERT INTO events (at, type, entity, key, record, detail)
VALUES (:at, :type, :entity, :key, :record, :detail)
"""

_encoder = msgspec.json.Encoder()


class Tx:
    """`conn` is inside BEGIN IMMEDIATE; `now` is the hub's clock, read once for the whole."""

    __slots__ = ("conn", "epoch", "events", "now")

    def __init__(self, conn: sqlite3.Connection, now: float, epoch: int) -> None:
        self.conn = conn
        self.now = now
        self.epoch = epoch
        self.events: list[Event] = []

    def emit(
        self,
        type_: str,
        entity: Entity,
        key: str,
        record: msgspec.Struct | None,
        detail: dict[str, Any] | None = None,
    ) -> Event:
        """Append an event with the whole changed record; published once this committed."""
        detail = detail or {}
        encoded = None if record is None else _encoder.encode(record)
        seq = self.conn.execute(
            INSERT_EVENT,
            {
                "at": self.now,
                "type": type_,
                "entity": entity.value,
                "key": key,
                "record": encoded,
                "detail": _encoder.encode(detail),
            },
        ).lastrowid
        assert seq is not None
        event = Event(
            seq=seq,
            id=f"{self.epoch}-{seq}",
            at=to_datetime(self.now),
            type=type_,
            entity=entity,
            key=key,
            record=NO_RECORD if encoded is None else msgspec.Raw(encoded),
            detail=detail,
        )
        self.events.append(event)
        return event


class View:
    """One consistent read."""

    __slots__ = ("conn", "epoch", "now")

    def __init__(self, conn: sqlite3.Connection, now: float, epoch: int) -> None:
        self.conn = conn
        self.now = now
        self.epoch = epoch
