"""When a limit ends, where a program says it in words only. Pure.

Codex: `try again at 3:28 PM`, `at Aug 8th, 2026 12:30 PM`, `in 3 days 6 hours 57 minutes`; Claude:
`resets 1:34pm (UTC)`. Times without a zone are the machine's own, as the program wrote them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_IN = re.compile(
    r"\b(?:again|resets?) in ((?:(?:less than )?(?:a|an|\d+) (?:day|hour|minute|second)s?[,\s]*)+)",
    re.IGNORECASE,
)
_SPAN = re.compile(r"(a|an|\d+) (day|hour|minute|second)s?", re.IGNORECASE)
_AT = re.compile(
    r"\b(?:again|resets?)(?: at| on)?\s+"
    r"(?:(?P<month>[A-Z][a-z]{2})[a-z]* (?P<day>\d{1,2})(?:st|nd|rd|th)?,?(?: (?P<year>\d{4}),?)?"
    r"(?: at)?\s*)?"
    r"(?:(?P<hour>\d{1,2})(?::(?P<minute>\d{2}))?\s*(?P<half>[AaPp])\.?[Mm]\.?)?"
    r"(?P<utc>\s*\((?:UTC|GMT)\))?",
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LONGEST = timedelta(days=40)


def reset_in_words(text: str, now: datetime) -> datetime | None:
    """The end of a limit in `text`, or None where it says none; `now` has the machine's zone."""
    if (span := _IN.search(text)) is not None:
        return _sane(now + _length(span[1]), now)
    for said in _AT.finditer(text):
        if said["hour"] is not None or said["month"] is not None:
            return _sane(_moment(said, now), now)
    return None


def _length(words: str) -> timedelta:
    total = timedelta()
    for count, unit in _SPAN.findall(words):
        number = 1 if count.lower() in ("a", "an") else int(count)
        total += timedelta(**{f"{unit.lower()}s": number})
    return total


def _moment(said: re.Match[str], now: datetime) -> datetime | None:
    here = now.astimezone(UTC) if said["utc"] else now
    hour = int(said["hour"] or 0) % 12 + (12 if (said["half"] or "a").lower() == "p" else 0)
    try:
        if said["month"] is not None:
            month = _MONTHS.index(said["month"]) + 1
            year = int(said["year"] or here.year)
            found = here.replace(year=year, month=month, day=int(said["day"]))
        else:
            found = here
        found = found.replace(hour=hour, minute=int(said["minute"] or 0), second=0, microsecond=0)
    except ValueError:
        return None
    if said["month"] is None and found <= here:
        found += timedelta(days=1)
    return found


def _sane(moment: datetime | None, now: datetime) -> datetime | None:
    """A time that is over, or too far away to be a limit's, is none."""
    if moment is None or not now < moment <= now + _LONGEST:
        return None
    return moment.astimezone(UTC)
