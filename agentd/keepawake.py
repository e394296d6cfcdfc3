"""Keeping a Mac awake while slots are busy: a lease on caffeinate, renewed, never open-ended.

It dies with its time, so a killed agentd keeps no machine awake; a closed lid wins over it.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
from asyncio.subprocess import Process
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

logger = logging.getLogger(__name__)

LEASE_S = 120
RENEW_S = 60.0

When = Literal["ac", "always", "never"]


def caffeinate(when: When, *, platform: str = sys.platform) -> list[str] | None:
    """The command of one lease; None where there is none or none is wanted.

    `-s` counts on mains power only, `-i` on battery too.
    """
    program = shutil.which("caffeinate", path="/usr/bin") if platform == "darwin" else None
    if program is None or when == "never":
        return None
    return [program, "-s" if when == "ac" else "-i", "-t", str(LEASE_S)]


@dataclass(slots=True)
class KeepAwake:
    """Holds leases while `busy()`; without a command it does nothing."""

    command: list[str] | None
    busy: Callable[[], bool]
    renew_s: float = RENEW_S
    _lease: Process | None = None

    async def run(self) -> None:
        """Renew until cancelled, then let go."""
        if self.command is None:
            return
        try:
            while True:
                if self.busy():
                    await self._renew(self.command)
                await asyncio.sleep(self.renew_s)
        finally:
            await self._end(self._lease)

    async def _renew(self, command: list[str]) -> None:
        before = self._lease
        self._lease = await asyncio.create_subprocess_exec(
            *command,
            env={},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await self._end(before)

    async def _end(self, lease: Process | None) -> None:
        if lease is None:
            return
        if lease.returncode is None:
            lease.terminate()
        await lease.wait()
