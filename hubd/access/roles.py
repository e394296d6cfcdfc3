"""Who may call what: every route has its row here, or the hub refuses to be built.

The role comes from the token's row in the database, never from the request. `BOUND` rows let a
node token through only under its own name; what belongs to an attempt is checked by its fence.
"""

from __future__ import annotations

from collections.abc import Mapping

from common.wire.admin import Role

OPERATOR, VIEWER, NODE, BRIDGE = Role.OPERATOR, Role.VIEWER, Role.NODE, Role.BRIDGE
INVITE = Role.INVITE

OPEN: frozenset[Role] = frozenset()
"""No token asked for."""

_CONTROL = frozenset({OPERATOR})
_LOOK = frozenset({OPERATOR, VIEWER})
_WORK = frozenset({NODE})
_BRIDGE = frozenset({BRIDGE})
_JOIN = frozenset({INVITE})
_ANY = frozenset(Role)

ROLES: Mapping[str, frozenset[Role]] = {
    "GET /healthz": OPEN,
    "GET /openapi.json": _ANY,
    "GET /metrics": _LOOK,
    "GET /v1/snapshot": _LOOK,
    "GET /v1/events": _LOOK,
    "POST /v1/tasks": _CONTROL,
    "GET /v1/tasks": _LOOK,
    "GET /v1/tasks/<task_id>": _LOOK,
    "POST /v1/tasks/<task_id>/cancel": _CONTROL,
    "POST /v1/tasks/<task_id>/retry": _CONTROL,
    "POST /v1/tasks/<task_id>/revoke": _CONTROL,
    "GET /v1/tasks/<task_id>/why": _LOOK,
    "GET /v1/tasks/<task_id>/output": _LOOK,
    "GET /v1/approvals": _LOOK,
    "GET /v1/approvals/<code>": _LOOK | _WORK,
    "POST /v1/approvals/<code>": _CONTROL,
    "GET /v1/nodes": _LOOK,
    "POST /v1/nodes/<name>/register": _WORK,
    "POST /v1/nodes/<name>/heartbeat": _WORK,
    "POST /v1/nodes/<name>/claim": _WORK,
    "POST /v1/nodes/<name>/drain": _CONTROL,
    "POST /v1/nodes/<name>/resume": _CONTROL,
    "POST /v1/nodes/<name>/reset-breaker": _CONTROL,
    "POST /v1/accounts/<name>/resume": _CONTROL,
    "POST /v1/attempts/<fence>/start": _WORK,
    "POST /v1/attempts/<fence>/output": _WORK,
    "POST /v1/attempts/<fence>/release": _WORK,
    "POST /v1/attempts/<fence>/result": _WORK,
    "POST /v1/attempts/<fence>/ask": _WORK,
    "POST /v1/messages": _BRIDGE,
    "POST /v1/outbox/claim": _BRIDGE,
    "POST /v1/outbox/<item_id>": _BRIDGE,
    "POST /v1/bridge/status": _BRIDGE,
    "POST /v1/files": _BRIDGE | _CONTROL,
    "GET /v1/files/<file_id>": _WORK | _CONTROL,
    "GET /v1/conversation": _LOOK,
    "POST /v1/conversation": _CONTROL,
    "GET /v1/costs": _LOOK,
    "POST /v1/hold": _CONTROL,
    "GET /v1/tokens": _CONTROL,
    "POST /v1/tokens": _CONTROL,
    "DELETE /v1/tokens/<token_id>": _CONTROL,
    "GET /v1/invitations/<token_id>": OPEN,
    "POST /v1/join": _JOIN,
}

BOUND: frozenset[str] = frozenset(
    {
        "POST /v1/nodes/<name>/register",
        "POST /v1/nodes/<name>/heartbeat",
        "POST /v1/nodes/<name>/claim",
    }
)
"""Rows where a node token's own name must be the one in the path."""
