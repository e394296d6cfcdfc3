"""What the types of the configuration cannot say."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.config import ApprovalConfig, BridgeConfig, HubConfig, load_config
from common.config.sense import check_handles, check_limits, check_patterns
from common.errors import ConfigError


def test_the_default_time_limits_are_consistent() -> None:
    check_limits(HubConfig())


@pytest.mark.parametrize(
    "limits",
    [
        {"lease_s": 49.0},
        {"stop_after_s": 2390.0},
        {"lost_after_s": 1815.0},
        {"stale_after_s": 19.0},
    ],
)
def test_time_limits_that_let_a_task_run_twice_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"hub\."):
        check_limits(HubConfig(**limits))


@pytest.mark.parametrize("key", ["patterns", "deny", "high_risk"])
def test_what_is_no_regular_expression_is_named(key: str) -> None:
    check_patterns(ApprovalConfig())
    with pytest.raises(ConfigError, match=rf"approval\.{key}: '\['"):
        check_patterns(ApprovalConfig(**{key: ["fine", "["]}))


@pytest.mark.parametrize("handle", ["Mum", "me\ufffd@example.com", "+", "urn:biz:x"])
def test_a_handle_that_could_never_be_anybodys_is_named(handle: str) -> None:
    check_handles(BridgeConfig(allow=["+49 151 1234567"], self_handles=["me@example.com"]))
    with pytest.raises(ConfigError, match="neither a mail address"):
        check_handles(BridgeConfig(allow=[handle]))


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("MESH_APPROVAL__PATTERNS", '["("]', "approval.patterns"),
        ("MESH_HUB__STALE_AFTER_S", "1", "hub.stale_after_s"),
        ("MESH_HUB__BIND", "x", "hub.bind"),
        ("MESH_HUB__BIND", "127.0.0.1:http", "hub.bind"),
        ("MESH_AGENT__SLOT", "7", "MESH_AGENT__SLOT: unknown key agent.slot"),
        ("MESH_FOO__BAR", "1", "MESH_FOO__BAR: unknown table"),
        ("MESH_APPROVAL__POLICY", "foo", "it is one of never, always, rules"),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_loaded(
    tmp_path: Path, variable: str, value: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config({"MESH_HOME": str(tmp_path), variable: value})
    assert said in caught.value.message
