"""What `mesh init` writes."""

from __future__ import annotations

import tomllib
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.errors import CliError
from cli.setup.choices import Choices, check, tables
from cli.setup.tokens import Wanted, wanted_tokens
from cli.setup.toml_file import render
from common.config import Config
from common.names import default_node_name
from common.wire.admin import Role

ONE_MACHINE = Choices(
    hub=True,
    agent=True,
    bridge=True,
    name="Rex",
    slots=2,
    runner="claude",
    bind="127.0.0.1:8420",
    hub_url="",
    allow=("+15555550100",),
    self_handles=(),
)


def written(choices: Choices) -> Config:
    return msgspec.convert(tomllib.loads(render(tables(choices))), Config)


def test_what_is_written_is_what_was_chosen() -> None:
    config = written(ONE_MACHINE)

    assert (config.hub.run, config.hub.bind) == (True, "127.0.0.1:8420")
    assert (config.agent.run, config.agent.name, config.agent.slots) == (True, "Rex", 2)
    assert (config.bridge.run, config.bridge.allow) == (True, ["+15555550100"])


def test_a_hub_without_a_bridge_still_knows_whom_to_hear() -> None:
    config = written(replace(ONE_MACHINE, bridge=False))

    assert config.bridge.allow == ["+15555550100"]


@given(st.text(), st.lists(st.text()))
def test_any_text_survives_being_written(model: str, labels: list[str]) -> None:
    read = tomllib.loads(render({"agent": {"model": model, "labels": labels}}))

    assert read == {"agent": {"model": model, "labels": labels}}


def test_a_key_the_schema_does_not_know_is_not_written() -> None:
    with pytest.raises(KeyError):
        render({"hub": {"binds": "x"}})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": ""}, "cannot name a node"),
        ({"name": "-x"}, "cannot name a node"),
        ({"name": "x" * 65}, "cannot name a node"),
        ({"allow": ("5550100",)}, "neither a mail address nor a phone number"),
        ({"self_handles": ("me",)}, "neither a mail address nor a phone number"),
        ({"allow": ()}, "needs to know whom to hear"),
        ({"hub": False}, "needs its address"),
    ],
)
def test_choices_no_program_would_accept_are_refused(
    changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(CliError, match=sentence):
        check(replace(ONE_MACHINE, **changes))  # type: ignore[arg-type]


def test_good_choices_pass() -> None:
    check(ONE_MACHINE)
    check(replace(ONE_MACHINE, allow=("a@b.example",), hub=False, hub_url="https://hub.example"))


def test_each_program_of_the_machine_gets_its_token() -> None:
    assert wanted_tokens(written(ONE_MACHINE)) == [
        Wanted(Role.OPERATOR),
        Wanted(Role.NODE, "Rex"),
        Wanted(Role.BRIDGE),
    ]
    assert wanted_tokens(Config()) == [Wanted(Role.OPERATOR)]


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("rex.local", "rex"),
        ("Anna's MacBook-Pro.local", "AnnasMacBook-Pro"),
        ("-.", "node"),
        ("ünï", "n"),
        ("x" * 90, "x" * 64),
    ],
)
def test_a_host_names_its_node(host: str, name: str) -> None:
    assert default_node_name(host) == name
