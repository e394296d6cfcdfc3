"""Running the checks: every probe at the same time, each for two seconds at most."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

from cli.doctor.facts import Here
from cli.doctor.finding import Finding, Verdict, warn
from cli.doctor.table import Check, Probe

LIMIT_S = 2.0
DEEP_LIMIT_S = 60.0


class _Look:
    """One probe in a thread that the interpreter's end does not wait for: a probe may hang in
    the system, on a disk that went away, and nothing can end a thread."""

    def __init__(self, probe: Probe, here: Here) -> None:
        self.facts: Any = None
        self.error: Exception | None = None
        self._thread = threading.Thread(
            target=self._run, args=(probe, here), name=probe.__name__, daemon=True
        )
        self._thread.start()

    def _run(self, probe: Probe, here: Here) -> None:
        try:
            self.facts = probe(here)
        except Exception as error:  # shown as this check's finding: the others go on
            self.error = error

    def ended(self, at: float) -> bool:
        """Wait for it until then (monotonic); whether it ended."""
        self._thread.join(max(at - time.monotonic(), 0.0))
        return not self._thread.is_alive()


def examine(checks: Iterable[Check], here: Here) -> list[Finding]:
    """One finding a check that applies here, in their order."""
    asked = [check for check in checks if check.applies(here)]
    began = time.monotonic()
    looks: dict[Probe, _Look] = {}
    for check in asked:
        if check.probe is not None and check.probe not in looks:
            looks[check.probe] = _Look(check.probe, here)
    found = []
    for check in asked:
        ends_at = began + (DEEP_LIMIT_S if check.deep else LIMIT_S)
        verdict = _verdict(check, here, looks, ends_at)
        found.append(Finding(check.id, verdict.mark, verdict.fact, verdict.remedy))
    return found


def _verdict(check: Check, here: Here, looks: dict[Probe, _Look], ends_at: float) -> Verdict:
    if check.probe is None:
        return check.judge(here, None)
    look = looks[check.probe]
    if not look.ended(ends_at):
        return warn("no answer within 2 s", f"mesh doctor --only {check.id}")
    if look.error is not None:
        return warn(
            f"could not look: {look.error or type(look.error).__name__}",
            f"mesh doctor --only {check.id}",
        )
    return check.judge(here, look.facts)
