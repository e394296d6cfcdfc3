"""What the hub refuses, in words for the person or program it answers."""

from __future__ import annotations

import math
from typing import ClassVar

from common.errors import EXIT_CONFIG, MeshError


class HubError(MeshError):
    """Base of the hub's errors; `detail` goes into the answer's `detail` field, `headers` into
    the answer."""

    code: ClassVar[str] = "hub"

    def __init__(self, message: str, *, detail: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.detail = detail or {}

    @property
    def headers(self) -> dict[str, str]:
        return {}


class InvalidError(HubError):
    """The request is well formed and makes no sense."""

    code = "invalid"
    status = 422


class UnknownNameError(HubError):
    """The request names a node, specialist or label that nothing in the mesh has."""

    code = "unknown_name"
    status = 422


class IdempotencyMismatchError(HubError):
    """The same key came with another body."""

    code = "idempotency_mismatch"
    status = 422


class NotFoundError(HubError):
    code = "not_found"
    status = 404


class ForbiddenError(HubError):
    """The token is good and may not do this."""

    code = "forbidden"
    status = 403


class ConflictError(HubError):
    """The thing is no longer in a state that allows it."""

    code = "conflict"
    status = 409


class FencedError(HubError):
    """The fence is not the task's current one: end the attempt, its result is not wanted."""

    code = "fenced"
    status = 409


class SupersededError(HubError):
    """Another agent speaks for the node: end every attempt and stay away."""

    code = "superseded"
    status = 409


class AlreadyAnsweredError(HubError):
    """Somebody answered first; `detail` says who, when and what."""

    code = "already_answered"
    status = 409


class ForbiddenTransitionError(HubError):
    """A state change that is no edge of the lifecycle: a fault of the hub, not of a request."""

    code = "forbidden_transition"
    status = 500


class StorageFullError(HubError):
    """No room for new rows; reads and leases live on."""

    code = "storage_full"
    status = 507


class RetryLaterError(HubError):
    """Refused for now: `retry_after_s` says for how long."""

    code = "busy"
    status = 503

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(max(1, math.ceil(self.retry_after_s)))}


class StoppingError(RetryLaterError):
    code = "stopping"

    def __init__(self) -> None:
        super().__init__("the hub is stopping: try again in a moment")


class DatabaseBusyError(RetryLaterError):
    """Another program holds the database; nothing was changed."""

    code = "database_busy"

    def __init__(self) -> None:
        super().__init__(
            "another program holds the hub's database (a backup tool, sqlite3 in a terminal?):"
            " try again in a moment",
            retry_after_s=2.0,
        )


class DatabaseUnreachableError(RetryLaterError):
    """The database's file can at present not be read or written."""

    code = "database_unreachable"

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"the hub cannot reach its database ({cause}): check its disk and its files' rights",
            retry_after_s=10.0,
        )


class DatabaseDamagedError(RetryLaterError):
    """What was read is not a sound database."""

    code = "database_damaged"

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"the hub's database is damaged ({cause}): stop the hub and run `mesh restore`",
            retry_after_s=60.0,
        )


class DatabaseError(HubError):
    """The database cannot be used as it is; the message says what to do with it."""

    code = "database"
    exit_code = EXIT_CONFIG


class DatabaseHeldError(HubError):
    """Another program keeps the database locked at the start; it is not at fault itself."""

    code = "database_held"
