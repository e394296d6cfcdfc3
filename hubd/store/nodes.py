"""Nodes, their breakers, and the accounts they share."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

import msgspec

from common.wire.facts import NodeFacts
from common.wire.nodes import AccountState, BreakerState, Leaving
from hubd.domain.records import AccountRecord, BreakerRecord, NodeRecord
from hubd.store.rows import Mapper, unpack


def _read_facts(text: str) -> NodeFacts:
    """What another version stored in another shape is not known until the node says it again."""
    try:
        return msgspec.json.decode(text, type=NodeFacts)
    except msgspec.DecodeError:
        return NodeFacts()


NODES = Mapper(
    "nodes",
    NodeRecord,
    key="name",
    decode={
        "labels": unpack,
        "specialists": unpack,
        "runners": unpack,
        "accepting": bool,
        "draining": bool,
        "leaving": Leaving,
        "facts": _read_facts,
    },
    encode={"facts": lambda facts: msgspec.json.encode(facts).decode()},
)
BREAKERS = Mapper(
    "breakers", BreakerRecord, key="node", decode={"state": BreakerState, "evidence": unpack}
)
ACCOUNTS = Mapper(
    "accounts",
    AccountRecord,
    key="name",
    decode={"state": AccountState, "restarting": bool, "local": bool},
)

SAVE = f"{NODES.upsert}, revision = random()"
REVISIONS = "SELECT name, revision, heartbeat_at FROM nodes ORDER BY name"
REVISION = "SELECT name, revision, heartbeat_at FROM nodes WHERE name = :name"
FEW = 20

BEAT = "UPDATE nodes SET heartbeat_at = :at WHERE name = :name"
SHIFT_HEARTBEATS = "UPDATE nodes SET heartbeat_at = heartbeat_at + :by"


def find(conn: sqlite3.Connection, name: str) -> NodeRecord | None:
    return NODES.find(conn, "WHERE name = :name", {"name": name})


def everyone(conn: sqlite3.Connection) -> list[NodeRecord]:
    return NODES.find_all(conn, "ORDER BY name", {})


class NodeCache:
    """Node records as last read, each good for as long as its row keeps its revision."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, NodeRecord]] = {}

    def read(
        self, conn: sqlite3.Connection, names: Collection[str] | None = None
    ) -> list[tuple[NodeRecord, float | None]]:
        """All nodes, or those named, each with its last heartbeat; the record's own is old."""
        if names is not None and len(names) <= FEW:
            rows = [
                row
                for name in sorted(names)
                for row in conn.execute(REVISION, {"name": name}).fetchall()
            ]
        else:
            rows = conn.execute(REVISIONS).fetchall()
        return [
            (self._record(conn, name, revision), heartbeat_at)
            for name, revision, heartbeat_at in rows
            if names is None or name in names
        ]

    def _record(self, conn: sqlite3.Connection, name: str, revision: int) -> NodeRecord:
        known = self._known.get(name)
        if known is not None and known[0] == revision:
            return known[1]
        record = find(conn, name)
        assert record is not None
        self._known[name] = (revision, record)
        return record


def save(conn: sqlite3.Connection, node: NodeRecord) -> None:
    conn.execute(SAVE, NODES.values(node))


def beat(conn: sqlite3.Connection, name: str, at: float) -> None:
    conn.execute(BEAT, {"name": name, "at": at})


def shift_heartbeats(conn: sqlite3.Connection, by: float) -> None:
    """After a jump of the clock: every heartbeat is as old as it was."""
    conn.execute(SHIFT_HEARTBEATS, {"by": by})


def breaker(conn: sqlite3.Connection, node: str) -> BreakerRecord:
    """A node without a row has a closed breaker."""
    found = BREAKERS.find(conn, "WHERE node = :node", {"node": node})
    return found or BreakerRecord(node=node)


def breakers(conn: sqlite3.Connection) -> dict[str, BreakerRecord]:
    return {record.node: record for record in BREAKERS.find_all(conn, "", {})}


def save_breaker(conn: sqlite3.Connection, record: BreakerRecord) -> None:
    conn.execute(BREAKERS.upsert, BREAKERS.values(record))


def account(conn: sqlite3.Connection, name: str) -> AccountRecord | None:
    return ACCOUNTS.find(conn, "WHERE name = :name", {"name": name})


def accounts(conn: sqlite3.Connection) -> dict[str, AccountRecord]:
    """Every row by its name; those of one login are few."""
    return {record.name: record for record in ACCOUNTS.find_all(conn, "ORDER BY name", {})}


def accounts_of(conn: sqlite3.Connection, login: str) -> dict[str, AccountRecord]:
    """A login's own row and those of its parts."""
    found = ACCOUNTS.find_all(
        conn, "WHERE name = :login OR account = :login ORDER BY name", {"login": login}
    )
    return {record.name: record for record in found}


def save_account(conn: sqlite3.Connection, record: AccountRecord) -> None:
    conn.execute(ACCOUNTS.upsert, ACCOUNTS.values(record))
