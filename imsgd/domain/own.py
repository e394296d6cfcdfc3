"""Which of the account's own addresses the configuration does not know.

A row of the account's other address is a text to oneself that nobody hears. A configured address
that Messages has not used yet is never called wrong: its columns name only some of them.
"""

from __future__ import annotations

from collections.abc import Collection

from common.wire.messages import BridgeProblem
from imsgd.domain.handles import AllowList

SELF_PROBLEM = "self_handles"


def missing_own_handles(allow: AllowList, accounts: Collection[str]) -> list[BridgeProblem]:
    """`accounts`: the normalised addresses that Messages sent from or was written to at."""
    missing = set(accounts) - allow.own if allow.own else set(accounts) & allow.others
    if not missing:
        return []
    names = ", ".join(sorted(missing))
    return [
        BridgeProblem(
            id=SELF_PROBLEM,
            text=f"Messages is signed in with {names} as well: texts to yourself there are not "
            "heard.",
            remedy=f"Add {names} to bridge.self_handles, then mesh restart imsgd.",
        )
    ]
