"""What the API reference says beyond the OpenAPI document: how to ask, and what words mean."""

from __future__ import annotations

from collections.abc import Mapping

from common.config import HubConfig
from common.version import PROTOCOL
from common.wire.admin import Role
from hubd.access.limits import (
    BODY_TIMEOUT_S,
    FILE_TIMEOUT_S,
    MAX_FILE_BYTES,
    MAX_HEADER_BYTES,
    MAX_JSON_BYTES,
    MAX_KEY_CHARS,
    MAX_URL_BYTES,
)
from hubd.calls import MAX_STREAMS_PER_TOKEN, MAX_WAITS_PER_TOKEN
from hubd.sse import KEEPALIVE_S

ASKING = f"""# HTTP API

What every program of the mesh says to the hub, and any other HTTP client may. This page is
generated from the hub's own OpenAPI document, which it also serves: `GET /openapi.json`.

## Asking

**Address.** `hub.url`, or when that is empty `hub.bind`, which is `{HubConfig().bind}` unless it
was changed; `https` when `hub.tls_cert` is set. The `Host` of a request must be the address it came
in on (any name of loopback, if that is where), the host of `hub.url`, or a name in `hub.hosts`.

**Token.** `Authorization: Bearer mesh_…` with every call that does not say *no token*, on loopback
too. `mesh token new --role operator` makes one. A token in the URL is refused, whatever it is
worth. Its role decides what it may do:
"""

ROLES: Mapping[Role, str] = {
    Role.OPERATOR: "Submit, answer, control, issue and revoke tokens: all that a person does.",
    Role.VIEWER: "Look.",
    Role.NODE: "Take work and report it. Bound to one node's name and to that node's attempts.",
    Role.BRIDGE: "Hand texts in, fetch the replies and say what became of them.",
    Role.INVITE: "Be exchanged, once, for the token it stands for.",
}

TERMS = f"""**Protocol.** `Mesh-Proto: {PROTOCOL}` says which protocol the caller speaks. It may
be left out; the hub takes {PROTOCOL} and {PROTOCOL - 1}, and answers any other with 426.

**Bodies.** JSON with `Content-Type: application/json`, at most {MAX_JSON_BYTES} bytes; a file,
with its own `Content-Type`, at most {MAX_FILE_BYTES}. A body must arrive within {BODY_TIMEOUT_S} s,
a file within {FILE_TIMEOUT_S} s.
A URL has at most {MAX_URL_BYTES} bytes, all headers together {MAX_HEADER_BYTES}. A call with query
parameters refuses one it does not know and one that is given twice. Fields of a body that its
schema does not name are ignored, unless it says that they are refused.

**Repeating.** Where a call takes an `Idempotency-Key` (1 to {MAX_KEY_CHARS} characters), a repeat
with the same key has no second effect and is answered 200 with what the first one made. Another
request with its key is a 422 `idempotency_mismatch`.

**Answers.** JSON, unless another media type is named. They hold every field of their schema, also
one that has its default. Times are ISO 8601, in UTC. `X-Request-Id` names the request in the hub's
log.

**Long polls.** A call with `wait_s` answers as soon as it has something to say, at the latest after
so many seconds. A token may have {MAX_WAITS_PER_TOKEN} of them open, and
{MAX_STREAMS_PER_TOKEN} streams.

## Streams

`GET /v1/events` and `GET /v1/tasks/{{task_id}}/output` answer server-sent events
(`text/event-stream`); the `data` of each is JSON. After {KEEPALIVE_S:g} s of silence comes
a comment, so a much longer silence is a broken connection. A stream ends with the hub, with its
token, and when its reader is too slow: send the last `id` as `Last-Event-ID` to go on where it
ended.

| stream | `event` | `id` | `data` |
|---|---|---|---|
| events | none | `<epoch>-<seq>` | [Event](#event): a change, with the whole changed record. |
| events | `pulse` | none | [Pulse](#pulse): a heartbeat as it passes; not in the log. |
| events | `reset` | none | `{{"reason": …}}`, and the stream ends: the id cannot be continued. |
| output | none | `<fence>-<n>` | [OutputLine](#outputline): what an attempt says. |
| output | `end` | none | `{{}}`: the task is finished. |

To follow the hub without a gap, take `GET /v1/snapshot` and send its `last_event_id` as the first
`Last-Event-ID`; after a `reset` begin with a new snapshot. Without the header events begin now.
Output without one, or with one that is no line's id, begins at the first line.
"""

ERRORS = """## Errors

Every error the hub answers is an [ErrorBody](#errorbody): `{"error": word, "message": text,
"request_id": id, "detail": {}}`. The word is for programs; the message says what to do about it.
429 and 503 carry `Retry-After`. An address that does not exist is a 404 `not_found` and a method
it does not take a 405 `method_not_allowed`; without a good token both are a 401.
"""

ERROR_WORDS: Mapping[str, str] = {
    "already_answered": "Somebody answered first; `detail` says who, what and when.",
    "bad_request": "Not a request the hub can read.",
    "body_timeout": "The body did not arrive in time.",
    "conflict": "The thing is not, or no longer, in a state that allows it.",
    "database_busy": "Another program holds the hub's database: try again in a moment.",
    "database_damaged": "The hub's database is damaged: stop the hub and run `mesh restore`.",
    "database_unreachable": "The hub cannot reach its database's file; its message says why.",
    "fenced": "The fence is not the task's current one: end the attempt.",
    "forbidden": "The role, the name the token is bound to, or the policy does not allow it.",
    "foreign_host": "The `Host` header does not name this hub.",
    "foreign_origin": "A web page whose origin is not in `hub.origins`.",
    "headers_too_large": "The headers are too large.",
    "idempotency_mismatch": "The same key came with another request.",
    "internal": "A fault of the hub; its log says more under the request's id.",
    "invalid": "The request is well formed and makes no sense; the message names the field.",
    "locked_out": "Too many wrong tokens from this address or for this token's id.",
    "media_type": "The body is not `application/json`.",
    "not_found": "There is no such thing.",
    "rate_limited": "Too many requests, or calls that stay open, with one token.",
    "stopping": "The hub is stopping: try again in a moment.",
    "storage_full": "The hub's disk is full, or too nearly so for new work.",
    "superseded": "Another agent has registered under this node's name since, and reports.",
    "unknown_name": "No node, specialist or label is called that; the message has the nearest.",
    "token_in_url": "A token in the URL, where logs keep it: revoke it.",
    "too_large": "The body is too large.",
    "unauthorized": "No token, or one that is wrong, revoked or expired.",
    "upgrade_required": "The hub does not speak this `Mesh-Proto`.",
}

PARAMETERS: Mapping[str, str] = {
    "Idempotency-Key": "Names the request, so that a repeat has no second effect.",
    "accounts.name": "The account's name.",
    "approvals.state": "Only approvals in this state.",
    "by": "What to group by.",
    "code": "The approval's code, such as `K7`, in capitals or not.",
    "conversation.before": "Only what came before the message with this id.",
    "events.Last-Event-ID": "The `id` of the last event seen.",
    "fence": "The attempt's fence.",
    "file_id": "The file's `id`.",
    "files.name": "What the file was called where it came from.",
    "invitations.token_id": "The id in the invitation's token.",
    "item_id": "The `id` of the outbox item.",
    "limit": "The most entries to answer.",
    "nodes.name": "The node's name.",
    "days": "Only the last so many days of the hub's calendar, today included: `spend` is today's.",
    "since": "Only attempts that ended at or after this moment, ISO 8601 with a zone.",
    "task_id": "The task's id.",
    "tasks.Last-Event-ID": "The `id` of the last line seen.",
    "tasks.before": "Only tasks with a smaller id; `next_before` of a page leads to the next.",
    "tasks.node": "Only tasks with this `node`.",
    "tasks.q": "Only tasks with this text in their prompt or title.",
    "tasks.specialist": "Only tasks with this `specialist`.",
    "tasks.state": "Task states, joined by commas; also `waiting`, `live` and `finished`.",
    "tokens.token_id": "The token's `id`.",
    "until": "Only attempts that ended before this moment, ISO 8601 with a zone.",
    "wait_s": "How long to wait for the answer, in seconds.",
}
"""By name, or by tag and name where a name means several things."""
