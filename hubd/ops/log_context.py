"""The request and task a log line belongs to, carried by the context of the call."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class RequestScope:
    """What every line of one request shares."""

    request_id: str
    task_id: int | None = None


CURRENT: ContextVar[RequestScope | None] = ContextVar("mesh_request", default=None)


class RequestFields(logging.Filter):
    """Adds `request_id` and `task_id` to lines written while a request is served."""

    def filter(self, record: logging.LogRecord) -> bool:
        scope = CURRENT.get()
        if scope is not None:
            record.request_id = scope.request_id
            if scope.task_id is not None and not hasattr(record, "task_id"):
                record.task_id = scope.task_id
        return True


def add_request_fields() -> None:
    """Put the fields on every line the root logger's handlers write."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(RequestFields())
