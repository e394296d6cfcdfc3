"""What is wrong at the moment: raised by the loops, shown in the control centre."""

from __future__ import annotations

import logging

from common.version import VERSION
from common.wire.messages import BridgeProblem, BridgeReport
from imsgd.bell import Bell

logger = logging.getLogger(__name__)


class Health:
    """Problems by id. Each is logged once when it begins and once when it ends."""

    def __init__(self) -> None:
        self._problems: dict[str, BridgeProblem] = {}
        self.changed = Bell()

    def begin(self, problem: BridgeProblem) -> None:
        if self._problems.get(problem.id) == problem:
            return
        self._problems[problem.id] = problem
        self.changed.ring()
        logger.warning(
            "problem began",
            extra={"problem": problem.id, "text": problem.text, "remedy": problem.remedy},
        )

    def end(self, *ids: str) -> None:
        for name in ids:
            if self._problems.pop(name, None) is not None:
                self.changed.ring()
                logger.info("problem ended", extra={"problem": name})

    @property
    def problems(self) -> list[BridgeProblem]:
        return list(self._problems.values())

    def report(self) -> BridgeReport:
        state = "degraded" if self._problems else "ok"
        return BridgeReport(state=state, problems=self.problems, version=VERSION)
