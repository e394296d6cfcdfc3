"""Nodes, their breakers, and the accounts they share."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from common.wire.nodes import AccountState, BreakerState
from hubd.domain.records import AccountRecord, BreakerRecord, NodeRecord
from hubd.store.rows import Mapper, unpack

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
    },
)
BREAKERS = Mapper(
    "breakers", BreakerRecord, key="node", decode={"state": BreakerState, "evidence": unpack}
)
ACCOUNTS = Mapper(
    "accounts", AccountRecord, key="name", decode={"state": AccountState, "restarting": bool}
)

BEAT = "UPDATE nodes SET heartbeat_at = :at WHERE name = :name"


def find(conn: sqlite3.Connection, name: str) -> NodeRecord | None:
    return NODES.find(conn, "WHERE name = :name", {"name": name})


def everyone(conn: sqlite3.Connection) -> list[NodeRecord]:
    return NODES.find_all(conn, "ORDER BY name", {})


def some(conn: sqlite3.Connection, names: Iterable[str]) -> list[NodeRecord]:
    """The nodes of these names; one statement for a few, one scan for many."""
    wanted = set(names)
    if len(wanted) > 20:
        return [node for node in everyone(conn) if node.name in wanted]
    return [node for name in sorted(wanted) if (node := find(conn, name)) is not None]


def save(conn: sqlite3.Connection, node: NodeRecord) -> None:
    conn.execute(NODES.upsert, NODES.values(node))


def beat(conn: sqlite3.Connection, name: str, at: float) -> None:
    conn.execute(BEAT, {"name": name, "at": at})


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
    return {record.name: record for record in ACCOUNTS.find_all(conn, "ORDER BY name", {})}


def save_account(conn: sqlite3.Connection, record: AccountRecord) -> None:
    conn.execute(ACCOUNTS.upsert, ACCOUNTS.values(record))
