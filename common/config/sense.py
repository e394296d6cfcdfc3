"""What the types of the configuration cannot say: patterns, handles, time limits that agree."""

from __future__ import annotations

import re

from common.config.leave import check_leave
from common.config.schema import ApprovalConfig, BridgeConfig, Config, HubConfig
from common.errors import ConfigError
from common.handles import normalise

KILL_GRACE_S = 15.0
"""From the order to stop until the last process of a run is gone."""


def check_sense(config: Config) -> None:
    """Raises ConfigError with the key and what to do about it."""
    check_bind(config.hub.bind)
    check_limits(config.hub)
    check_patterns(config.approval)
    check_handles(config.bridge)
    check_leave(config.agent)


def check_bind(bind: str) -> None:
    """Raises ConfigError for what is no address and port."""
    host, colon, port = bind.rpartition(":")
    if not (colon and host.strip("[]") and port.isdecimal() and int(port) <= 65535):
        raise ConfigError(f"hub.bind: {bind!r} is no address and port; write it as 127.0.0.1:8420")


def check_limits(hub: HubConfig) -> None:
    """Raises ConfigError when the limits could let two nodes run one task at a time."""
    if 5 * hub.heartbeat_s > hub.lease_s:
        raise ConfigError(
            f"hub.lease_s ({hub.lease_s:g}) must be at least five heartbeats "
            f"({5 * hub.heartbeat_s:g}): raise it or lower hub.heartbeat_s"
        )
    if hub.stop_after_s + KILL_GRACE_S >= hub.lost_after_s:
        raise ConfigError(
            f"hub.stop_after_s ({hub.stop_after_s:g}) and {KILL_GRACE_S:g} s to end the work must "
            f"be over before hub.lost_after_s ({hub.lost_after_s:g}), or a task could run twice at "
            "once: lower the one or raise the other"
        )
    if hub.stale_after_s < 2 * hub.heartbeat_s:
        raise ConfigError(
            f"hub.stale_after_s ({hub.stale_after_s:g}) must be at least two heartbeats"
        )


def check_patterns(approval: ApprovalConfig) -> None:
    """Raises ConfigError for what is no regular expression: it would fail every submission."""
    for key in ("patterns", "deny", "high_risk"):
        for pattern in getattr(approval, key):
            try:
                re.compile(pattern, re.IGNORECASE)
            except re.error as error:
                raise ConfigError(
                    f"approval.{key}: {pattern!r} is no regular expression ({error})"
                ) from error


def check_handles(bridge: BridgeConfig) -> None:
    """Raises ConfigError for a handle that could never be anybody's."""
    for key in ("allow", "self_handles"):
        for handle in getattr(bridge, key):
            if not normalise(handle):
                raise ConfigError(
                    f"bridge.{key}: {handle!r} is neither a mail address nor a phone number "
                    "with its country code, such as +15551234567."
                )
