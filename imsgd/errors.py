"""What can go wrong in the bridge, in words for its owner."""

from __future__ import annotations

from common.errors import MeshError
from common.wire.messages import BridgeProblem


class BridgeError(MeshError):
    """Base of the bridge's errors."""

    code = "bridge"


class ChatDbError(BridgeError):
    """chat.db cannot be used; `problem` says what to do, and is shown until it is mended."""

    code = "chat_db"

    def __init__(self, problem: BridgeProblem) -> None:
        super().__init__(f"{problem.text} {problem.remedy}".strip())
        self.problem = problem


class ChatDbBusyError(BridgeError):
    """Messages held chat.db for itself for a moment; asking again is enough."""

    code = "chat_db_busy"
