"""What a run had to do without although it ended: said with its answer, so that nobody takes it
for a whole one."""

from __future__ import annotations

from collections import Counter

from agentd.runners.claude_stream import Fold
from common.wire.notices import Notice, NoticeKind, notice

SHOWN_NAMES = 5

_MISSING = {
    "failed": "was missing",
    "needs-auth": "needs a login",
    "disconnected": "was disconnected",
}
_AS_WANTED = ("connected", "pending", "disabled", "")
"""A server that still connects when the run begins is there when it is first used."""


def notices(fold: Fold, *, ok: bool, in_words: bool) -> tuple[Notice, ...]:
    """`ok`: the run ended well; `in_words`: all it says is that a usage limit was reached."""
    found = [
        notice(NoticeKind.MCP_MISSING, f"{name} (MCP) {_MISSING.get(status, 'was not there')}")
        for name, status in fold.servers.items()
        if status not in _AS_WANTED
    ]
    if fold.denied:
        found.append(notice(NoticeKind.TOOLS_DENIED, _denied(fold)))
    if in_words:
        found.append(notice(NoticeKind.LIMIT, "all it says is that a usage limit was reached"))
    elif ok and fold.limit is not None:
        found.append(notice(NoticeKind.LIMIT, "a usage limit was reached on the way"))
    if fold.fallback is not None:
        found.append(notice(NoticeKind.MODEL_FALLBACK, f"{fold.fallback} answered instead"))
    if fold.result is not None and fold.result.text("stop_reason") == "max_tokens":
        found.append(notice(NoticeKind.TRUNCATED, "the answer was cut at the model's limit"))
    return tuple(found)


def _denied(fold: Fold) -> str:
    names = Counter(fold.denied.values())
    listed = ", ".join(
        tool if times == 1 else f"{tool} {times} times"
        for tool, times in names.most_common(SHOWN_NAMES)
    )
    if len(names) > SHOWN_NAMES:
        listed += f" and {len(names) - SHOWN_NAMES} more"
    called = set(fold.tools) - {""}
    if called and called <= set(fold.denied):
        return f"every tool call was denied ({listed})"
    count = len(fold.denied)
    return f"{count} tool call{'s were' if count > 1 else ' was'} denied ({listed})"
