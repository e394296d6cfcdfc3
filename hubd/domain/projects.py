"""Which project a text or a request names: as its owner spells it, nearly so, or not at all."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

MOST_WORDS = 5
LISTED = 12

_QUOTES = "\"'`\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"
_AROUND = re.compile(
    r"(?:(?:the|my|our)\s+)?(?:(?:project|repo|repository)\s+(?P<after>.+)"
    r"|(?P<before>.+?)\s+(?:project|repo|repository))",
    re.IGNORECASE,
)
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}(?:['\u2019]s)?", re.IGNORECASE)

COMMON = frozenset(
    re.findall(
        r"\S+",
        """
    a addition advance all an another any april arabic august autumn bash bed berlin black blue
    bold brief c c# c++ case chinese cities clojure code common conclusion contrast css danish
    december depth detail details doubt dutch each effect elixir english erlang essence europe
    every excel excess fact fall february finnish france french friday full future general
    german germany go golang green groups half haskell her his html in italian italics its
    january japanese java javascript json july june kotlin korean last latex latin line lines
    london lua march markdown may mind monday most my narrow next no norwegian november numbers
    october one order other our pairs parallel paris part particular parts past perl perspective
    php place plain polish portuguese powerpoint powershell practice principle private
    production programming prose public python quotes r rails react red reference regard
    relation reply response reverse ruby rules russian rust saturday scala sequence september sh
    shell short simple slides spanish spite spring sql staging steps summary summer sunday
    swedish swift terms tests text that the their theory these this those three thursday time
    today tomorrow total turkish turn two typescript unison use vain view vue wednesday what
    which white winter word words writing xml yaml your zsh""",
    )
)
"""What begins an ordinary text behind `in`."""

VERBS = frozenset(
    re.findall(
        r"\S+",
        """
    add apply build bump change check clean commit create debug delete deploy do document drop
    enable explain extract find finish fix format implement improve install investigate lint
    list look make merge migrate move port push rebase refactor release remove rename replace
    revert review rewrite run set show speed summarise summarize test tidy try update upgrade
    use write""",
    )
)


@dataclass(frozen=True, slots=True)
class Named:
    """A project, and what is to be done in it."""

    project: str
    branch: str | None
    rest: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A name that can only be meant as a project, and is none."""

    name: str


def resolve(name: str, known: Iterable[str]) -> str | None:
    """The known project of that name: to the letter, in another case, or with other separators."""
    names = list(known)
    if name in names:
        return name
    for alike in (_folded, _squashed):
        found = {each for each in names if alike(each) == alike(name)}
        if found:
            return min(found)
    return None


def nearest(name: str, known: Iterable[str]) -> str | None:
    by_key = {_squashed(each): each for each in sorted(known)}
    found = difflib.get_close_matches(_squashed(name), by_key, n=1, cutoff=0.7)
    return by_key[found[0]] if found else None


def hint(name: str, known: Iterable[str]) -> str:
    """The answer to a name that no node has: what there is."""
    names = sorted(set(known), key=_folded)
    if not names:
        return f"No node has a project {name}, or any: add it to agent.projects in a mesh.toml."
    near = nearest(name, names)
    shown = ", ".join(names[:LISTED]) + (" …" if len(names) > LISTED else "")
    guess = f" Did you mean {near}?" if near else ""
    return f"No node has a project {name}.{guess} There are: {shown}."


def find(text: str, known: Iterable[str], *, complete: bool) -> Named | Unknown | None:
    """What stands behind `in`. `complete`: no node may have a project that is not `known`. None
    when it is an ordinary text."""
    names = list(known)
    readings = list(_readings(text))
    for alike in (_folded, _squashed):
        if found := _known(readings, names, alike):
            return found
    return _unknown(readings, names, complete)


@dataclass(frozen=True, slots=True)
class _Reading:
    """The first words as a name, how many they are, and whether only a blank follows."""

    name: str
    words: int
    branch: str | None
    rest: str
    blank: bool


def _readings(text: str) -> Iterator[_Reading]:
    """Longest first."""
    for words in range(MOST_WORDS, 0, -1):
        pattern = (
            rf"(?P<name>[^\s@:,]+(?:[ \t]+[^\s@:,]+){{{words - 1}}})"
            r"(?:@(?P<branch>[^\s:,]+))?(?P<gap>[\s:,]+|$)(?P<rest>.*)"
        )
        if match := re.match(pattern, text, re.DOTALL):
            name = " ".join(match["name"].split()).strip(_QUOTES)
            yield _Reading(
                name, words, match["branch"], match["rest"].strip(), not match["gap"].strip()
            )


def _known(readings: list[_Reading], names: list[str], alike: Callable[[str], str]) -> Named | None:
    by_key = {alike(name): name for name in sorted(names, reverse=True)}
    for reading in readings:
        around = _AROUND.fullmatch(reading.name)
        for name in (reading.name, around and (around["after"] or around["before"])):
            if name and alike(name) in by_key:
                exact = name if name in names else by_key[alike(name)]
                return Named(exact, reading.branch, reading.rest)
    return None


def _unknown(readings: list[_Reading], names: list[str], complete: bool) -> Named | Unknown | None:
    first = readings[-1] if readings else None
    if first is None or not first.rest:
        return None
    if first.branch and not _MAIL.fullmatch(f"{first.name}@{first.branch}"):
        return Unknown(first.name) if complete else Named(first.name, first.branch, first.rest)
    if not complete:
        return None
    for reading in readings:
        if reading.words <= 3 and reading.rest and any(_is_slip(reading.name, n) for n in names):
            return Unknown(reading.name)
    verb = re.match(r"[a-z]+", first.rest.lower())
    ordered = first.blank and verb is not None and verb[0] in VERBS
    if names and ordered and first.name.lower() not in COMMON:
        return Unknown(first.name)
    return None


def _is_slip(name: str, known: str) -> bool:
    """Whether a finger slipped: one letter more, less, other or swapped; two in a long name."""
    a, b = _squashed(name), _squashed(known)
    if len(b) < 4 or name.lower() in COMMON:
        return False
    return _distance(a, b, 1 if len(b) < 8 else 2)


def _distance(a: str, b: str, most: int) -> bool:
    """Whether at most so many letters differ (Damerau and Levenshtein's distance)."""
    if abs(len(a) - len(b)) > most:
        return False
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        older, before, row = before, row, [i]
        for j, right in enumerate(b, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (left != right))
            if i > 1 and j > 1 and left == b[j - 2] and a[i - 2] == right:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return row[-1] <= most


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()


def _squashed(name: str) -> str:
    return re.sub(r"[\s._-]+", "", name).casefold()
