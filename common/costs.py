"""Saying what something cost when part of it is not known: never zero, and never nothing."""

from __future__ import annotations

from collections.abc import Callable


def cost_words(usd: float | None, unknown_runs: int, dollars: Callable[[float], str]) -> str:
    """`$0.41`, `at least $0.41`, or `unknown`."""
    if usd is None or (unknown_runs and usd == 0):
        return "unknown"
    return f"at least {dollars(usd)}" if unknown_runs else dollars(usd)


def unknown_words(unknown_runs: int) -> str:
    """`, 2 runs of unknown cost`, or nothing."""
    runs = "1 run" if unknown_runs == 1 else f"{unknown_runs} runs"
    return f", {runs} of unknown cost" if unknown_runs else ""
