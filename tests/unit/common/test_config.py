"""mesh.toml and the environment: every mistake is one sentence that names its key."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.config import load_config
from common.errors import ConfigError


def write(home: Path, text: str) -> dict[str, str]:
    file = home / "mesh.toml"
    file.write_text(text)
    file.chmod(0o600)
    return {"MESH_HOME": str(home)}


def test_without_a_file_every_value_is_a_default(mesh_home: Path) -> None:
    loaded = load_config({"MESH_HOME": str(mesh_home)})
    assert loaded.config.hub.bind == "127.0.0.1:8420"
    assert {origin.source for origin in loaded.origins} == {"default"}


def test_a_value_knows_whether_file_or_environment_set_it(mesh_home: Path) -> None:
    env = write(mesh_home, '[agent]\nslots = 5\nname = "Archon"\n')
    loaded = load_config({**env, "MESH_AGENT__SLOTS": "3"})
    sources = {(o.table, o.key): o.source for o in loaded.origins}
    assert loaded.config.agent.slots == 3
    assert sources["agent", "slots"] == "MESH_AGENT__SLOTS"
    assert sources["agent", "name"] == "mesh.toml"
    assert sources["agent", "labels"] == "default"


@pytest.mark.parametrize(
    ("text", "value"),
    [("Rex", "Rex"), ('"Rex"', "Rex"), ("mesh-dark", "mesh-dark")],
)
def test_a_bare_word_in_the_environment_is_a_string(mesh_home: Path, text: str, value: str) -> None:
    loaded = load_config({"MESH_HOME": str(mesh_home), "MESH_TUI__THEME": text})
    assert loaded.config.tui.theme == value


def test_lists_and_tables_in_the_environment_are_toml(mesh_home: Path) -> None:
    env = {
        "MESH_HOME": str(mesh_home),
        "MESH_BRIDGE__ALLOW": '["+15550100", "me@example.org"]',
        "MESH_AGENT__ENV": '{ ANTHROPIC_BASE_URL = "http://127.0.0.1:9" }',
    }
    config = load_config(env).config
    assert config.bridge.allow == ["+15550100", "me@example.org"]
    assert config.agent.env == {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[agent]\nslot = 1\n", r"unknown key agent\.slot\. Did you mean slots\?"),
        ("[agnet]\nslots = 1\n", r"unknown table \[agnet\]\. Did you mean agent\?"),
        ("[agent]\nslots = 'two'\n", r"agent\.slots: Expected int, got str"),
        ("[agent]\nslots = 0\n", r"agent\.slots: Expected int >= 1"),
        ("agent = 1\n", r"agent must be a table"),
        ("[agent\n", r"not valid TOML"),
        (
            "[agent.projects.site]\npath = '/x'\ncopie = ['.env']\n",
            r"unknown key agent\.projects\.site\.copie\. Did you mean copy\?",
        ),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_place(
    mesh_home: Path, text: str, expected: str
) -> None:
    with pytest.raises(ConfigError, match=expected) as caught:
        load_config(write(mesh_home, text))
    assert "mesh.toml" in caught.value.message
    assert caught.value.exit_code == 78


def test_a_mistake_in_the_environment_names_the_variable(mesh_home: Path) -> None:
    with pytest.raises(ConfigError, match=r"MESH_AGENT__SLOTS: agent\.slots"):
        load_config({"MESH_HOME": str(mesh_home), "MESH_AGENT__SLOTS": "many"})


def test_a_file_that_others_can_read_is_refused_with_the_command_that_mends_it(
    mesh_home: Path,
) -> None:
    env = write(mesh_home, "")
    (mesh_home / "mesh.toml").chmod(0o644)
    with pytest.raises(ConfigError, match=r"chmod 600 .*mesh\.toml"):
        load_config(env)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.text())
def test_an_environment_text_sets_its_own_key_or_is_a_mistake_of_that_key(
    mesh_home: Path, text: str
) -> None:
    defaults = load_config({"MESH_HOME": str(mesh_home)}).config
    with suppress(ConfigError):
        config = load_config({"MESH_HOME": str(mesh_home), "MESH_TUI__THEME": text}).config
        assert msgspec.structs.replace(config.tui, theme="") == msgspec.structs.replace(
            defaults.tui, theme=""
        )
        assert config.hub == defaults.hub


def test_the_hub_address_follows_bind_and_tls(mesh_home: Path) -> None:
    env = {"MESH_HOME": str(mesh_home)}
    assert load_config(env).config.hub_url == "http://127.0.0.1:8420"
    assert load_config({**env, "MESH_HUB__TLS_CERT": "c.pem"}).config.hub_url.startswith("https")
    assert load_config({**env, "MESH_HUB__URL": "https://hub/"}).config.hub_url == "https://hub"
