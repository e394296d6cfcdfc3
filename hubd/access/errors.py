"""What is refused before a route is reached; each says how to do it right."""

from __future__ import annotations

from hubd.errors import HubError, RetryLaterError


class AccessError(HubError):
    """Base of the refusals at the door."""

    code = "refused"
    status = 403


class LockedOutError(RetryLaterError):
    """Too many wrong tokens from an address or for one token id."""

    code = "locked_out"
    status = 429


class RateLimitedError(RetryLaterError):
    code = "rate_limited"
    status = 429


class UnauthorizedError(AccessError):
    code = "unauthorized"
    status = 401

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": 'Bearer realm="mesh"'}


class NotAllowedError(AccessError):
    """The token is good; its role, or the name it is bound to, does not cover this."""

    code = "forbidden"
    status = 403


class ForeignOriginError(AccessError):
    code = "foreign_origin"
    status = 403


class ForeignHostError(AccessError):
    code = "foreign_host"
    status = 421


class BadRequestError(AccessError):
    """Not a request the hub can read."""

    code = "bad_request"
    status = 400


class TokenInUrlError(BadRequestError):
    code = "token_in_url"


class TooLargeError(AccessError):
    code = "too_large"
    status = 413


class HeadersTooLargeError(AccessError):
    code = "headers_too_large"
    status = 431


class MediaTypeError(AccessError):
    code = "media_type"
    status = 415


class UpgradeRequiredError(AccessError):
    """The caller speaks a protocol this hub does not."""

    code = "upgrade_required"
    status = 426


class BodyTimeoutError(AccessError):
    code = "body_timeout"
    status = 408


class InternalError(AccessError):
    """A fault of the hub; the answer holds its request id and nothing of the fault."""

    code = "internal"
    status = 500
