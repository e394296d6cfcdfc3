"""Durations, money and counts in few characters."""

from __future__ import annotations

from datetime import datetime, tzinfo

from common.clock import to_datetime, to_epoch

NOTHING = "-"


def age(seconds: float | None) -> str:
    """`7s`, `4m`, `2h05`, `3d`; never longer than five characters."""
    if seconds is None:
        return NOTHING
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    minutes = whole // 60
    if minutes < 60:
        return f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < 10:
        return f"{hours}h{minutes:02}"
    if hours < 48:
        return f"{hours}h"
    return f"{hours // 24}d"


def duration(seconds: float) -> str:
    """`42s`, `6m 05s`, `2h 05m`: where there is room."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    if whole < 172_800:
        return f"{whole // 3600}h {whole % 3600 // 60:02}m"
    return f"{whole // 86_400}d {whole % 86_400 // 3600}h"


def since(moment: datetime | None, now: float) -> float | None:
    """Seconds from `moment` to `now`, never negative; None without a moment."""
    return None if moment is None else max(0.0, now - to_epoch(moment))


def until(moment: datetime | None, now: float) -> float | None:
    """Seconds from `now` to `moment`, never negative; None without a moment."""
    return None if moment is None else max(0.0, to_epoch(moment) - now)


def money(usd: float | None) -> str:
    """`$0.41`, `$12.30`, `$1,204`; `-` for what nobody knows."""
    if usd is None:
        return NOTHING
    return f"${usd:,.0f}" if usd >= 1000 else f"${usd:.2f}"


def spent(usd: float | None, unknown_runs: int) -> str:
    """`$0.41`; `≥$0.41` when part of it is not known; `?` when nothing is."""
    if usd is None or (unknown_runs and usd == 0):
        return "?"
    return f"≥{money(usd)}" if unknown_runs else money(usd)


def count(number: int) -> str:
    """`950`, `12.3k`, `4.1M`: at most five characters below a billion."""
    if number < 1000:
        return str(number)
    for divisor, unit in ((1_000, "k"), (1_000_000, "M"), (1_000_000_000, "G")):
        value = number / divisor
        if value < 99.95:
            return f"{value:.1f}{unit}"
        if value < 999.5:
            return f"{value:.0f}{unit}"
    return f"{number / 1_000_000_000:.0f}G"


def plural(number: int, noun: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def clock_time(epoch_s: float, zone: tzinfo | None, *, seconds: bool = True) -> str:
    """The time of day where the reader sits; `zone` None is the machine's own."""
    return to_datetime(epoch_s).astimezone(zone).strftime("%H:%M:%S" if seconds else "%H:%M")


def moment(at: datetime, now: float, zone: tzinfo | None) -> str:
    """The time of day, with the date in front when that is not today's."""
    local = at.astimezone(zone)
    if local.date() == to_datetime(now).astimezone(zone).date():
        return local.strftime("%H:%M")
    return local.strftime("%d %b %H:%M")
