"""Rows to records and back: the columns of a table are the fields of its record."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    R = TypeVar("R", bound=DataclassInstance)
else:
    R = TypeVar("R")

Params = Mapping[str, Any]


def pack(values: Iterable[str]) -> str:
    """Strings as one column."""
    return msgspec.json.encode(tuple(values)).decode()


def unpack(text: str) -> tuple[str, ...]:
    return msgspec.json.decode(text, type=tuple[str, ...]) if text != "[]" else ()


class Mapper(Generic[R]):
    """The statements for one table. `decode` turns a column's value into the field's; a field
    decoded by `unpack` is packed on the way in, and `encode` says so for any other. `fixed`
    columns never change after the insert.
    """

    def __init__(
        self,
        table: str,
        record: type[R],
        *,
        key: str,
        decode: Mapping[str, Callable[[Any], Any]],
        encode: Mapping[str, Callable[[Any], Any]] | None = None,
        fixed: Iterable[str] = (),
        derived: Iterable[str] = (),
        generated_key: bool = False,
    ) -> None:
        self.record = record
        self.columns = tuple(field.name for field in dataclasses.fields(record))
        self._decoders = [(self.columns.index(name), fn) for name, fn in decode.items()]
        packed = {name: pack for name, fn in decode.items() if fn is unpack}
        self._encoders: dict[str, Callable[[Any], Any]] = packed | dict(encode or {})
        never = {key, *fixed}
        inserted = [
            name for name in (*self.columns, *derived) if not (generated_key and name == key)
        ]
        self.select = f"SELECT {', '.join(self.columns)} FROM {table}"
        self.insert = (
            f"INSERT INTO {table} ({', '.join(inserted)}) "
            f"VALUES ({', '.join(':' + name for name in inserted)})"
        )
        changed = ", ".join(f"{name} = :{name}" for name in self.columns if name not in never)
        self.update = f"UPDATE {table} SET {changed} WHERE {key} = :{key}"
        self.upsert = f"{self.insert} ON CONFLICT ({key}) DO UPDATE SET " + ", ".join(
            f"{name} = excluded.{name}" for name in self.columns if name not in never
        )

    def values(self, record: R) -> dict[str, Any]:
        values = {name: getattr(record, name) for name in self.columns}
        for name, encode in self._encoders.items():
            values[name] = encode(values[name])
        return values

    def load(self, row: tuple[Any, ...]) -> R:
        fields = list(row)
        for index, decode in self._decoders:
            if fields[index] is not None:
                fields[index] = decode(fields[index])
        return self.record(*fields)

    def find(self, conn: sqlite3.Connection, where: str, params: Params) -> R | None:
        """The first row; `where` is everything after FROM."""
        rows = conn.execute(f"{self.select} {where}", params).fetchall()
        return self.load(rows[0]) if rows else None

    def find_all(self, conn: sqlite3.Connection, where: str, params: Params) -> list[R]:
        return [self.load(row) for row in conn.execute(f"{self.select} {where}", params).fetchall()]
