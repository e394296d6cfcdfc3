"""The reaper: everything that happens because time passed."""

from __future__ import annotations


class Reaper:
    """Leases, starts, lost attempts, deadlines, drain time-outs, breakers, the day's turn,
    retention. A grace of one lease follows the hub's start and every jump of the clock."""

    async def tick(self) -> None:
        """One pass; safe to call at any pace."""
        raise NotImplementedError

    async def run(self) -> None:
        """Tick about once a second until cancelled."""
        raise NotImplementedError
