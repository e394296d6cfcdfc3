"""Lock-out: who guesses tokens is answered less and less often.

Failures are counted per canonical address and per token id, loopback like any other. A token that
already proved itself from an address stays usable there while that address is locked out, so one
program with a stale token cannot shut out its neighbours; a guess never proved itself.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from common.clock import Clock
from hubd.access.errors import LockedOutError

MAX_FAILURES = 10
WINDOW_S = 60.0
FIRST_LOCK_S = 15.0
LONGEST_LOCK_S = 900.0
MAX_REMEMBERED = 10_000


def canonical_address(address: str) -> str:
    """One name per caller: IPv4 inside IPv6 is IPv4, and an IPv6 caller is its /64."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        if not ip.is_loopback:
            return f"{IPv6Address(int(ip) >> 64 << 64)}/64"
    return str(ip)


@dataclass(slots=True)
class _Record:
    failures: int = 0
    since: float = 0.0
    locks: int = 0
    until: float = 0.0


class Lockout:
    """Counts in memory; a restart forgives. All times from `clock.monotonic`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._records: OrderedDict[str, _Record] = OrderedDict()
        self._proven: OrderedDict[tuple[str, bytes], None] = OrderedDict()

    def check(self, address: str, token: str) -> None:
        """Raise LockedOutError while the address, or the id this token claims, is locked."""
        until = max(self._until(key) for key in _keys(address, token))
        wait_s = until - self._clock.monotonic()
        if wait_s > 0 and (address, _digest(token)) not in self._proven:
            raise LockedOutError(
                "too many requests with a wrong token: wait "
                f"{wait_s:.0f} s, and check MESH_TOKEN or the token file of whoever sends them",
                retry_after_s=wait_s,
            )

    def failed(self, address: str, token: str) -> bool:
        """Count a failure; True when it locked somebody out."""
        locked = False
        for key in _keys(address, token):
            locked |= self._count(key)
        self._proven.pop((address, _digest(token)), None)
        return locked

    def proved(self, address: str, token: str) -> None:
        """Remember that this token was good from this address."""
        key = (address, _digest(token))
        self._proven[key] = None
        self._proven.move_to_end(key)
        if len(self._proven) > MAX_REMEMBERED:
            self._proven.popitem(last=False)

    def _until(self, key: str) -> float:
        record = self._records.get(key)
        return record.until if record else 0.0

    def _count(self, key: str) -> bool:
        now = self._clock.monotonic()
        record = self._records.setdefault(key, _Record(since=now))
        self._records.move_to_end(key)
        if len(self._records) > MAX_REMEMBERED:
            self._records.popitem(last=False)
        if now - max(record.since, record.until) > LONGEST_LOCK_S:
            record.locks = 0
        if now - record.since > WINDOW_S:
            record.since, record.failures = now, 0
        record.failures += 1
        if record.failures < MAX_FAILURES or now < record.until:
            return False
        record.until = now + min(FIRST_LOCK_S * 2.0**record.locks, LONGEST_LOCK_S)
        record.locks += 1
        record.failures, record.since = 0, now
        return True


def _keys(address: str, token: str) -> list[str]:
    parts = token.split("_", 3)
    keys = [f"address {address}"]
    if len(parts) == 4 and parts[0] == "mesh":
        keys.append(f"token {parts[2][:64]}")
    return keys


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
