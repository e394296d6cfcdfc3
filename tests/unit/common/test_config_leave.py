"""Tool rules, folders and hosts that could never work are refused when they are loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.config import AgentConfig, ProjectConfig, load_config
from common.config.leave import check_leave
from common.errors import ConfigError


@pytest.mark.parametrize(
    "rule",
    [
        "Bash",
        "Bash(npm test:*)",
        "Bash(git push origin main, quietly)",
        "mcp__git__log",
        "Edit(//a/**)",
        "WebFetch(domain:example.com)",
        "Bash(echo (a))",
        "SomethingNew",
    ],
)
def test_a_rule_as_claude_knows_it_is_taken(rule: str) -> None:
    check_leave(AgentConfig(allowed_tools=[rule]))


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("", "is not a tool rule"),
        ("*", "is not a tool rule"),
        ("npm test", "is not a tool rule"),
        ("Bash(npm test", "is not a tool rule"),
        ("Bash()", "is not a tool rule"),
        ("bash(npm test:*)", r"Did you mean Bash\(npm test:\*\)\?"),
        ("Webfetch", r"Did you mean WebFetch\?"),
        ("Bsh(ls)", r"Did you mean Bash\(ls\)\?"),
        ("npm(test)", "begin with a capital"),
    ],
)
def test_a_rule_that_could_never_match_is_named_with_its_project(rule: str, said: str) -> None:
    agent = AgentConfig(projects={"shop": ProjectConfig(path="/shop", allow=["Read", rule])})
    with pytest.raises(ConfigError, match=r"agent\.projects\.shop\.allow: .*" + said):
        check_leave(agent)


@pytest.mark.parametrize("folder", ["/", "~", "~/", "cache", "./cache"])
def test_a_folder_that_is_everything_or_not_whole_is_refused(folder: str) -> None:
    check_leave(AgentConfig(sandbox_write=["~/.cache/go-build", "/opt/x"]))
    with pytest.raises(ConfigError, match=r"agent\.sandbox_write"):
        check_leave(AgentConfig(sandbox_write=[folder]))


@pytest.mark.parametrize(
    "host", ["https://example.com", "example.com:443", "example.com/x", "", "a b", "*.*.com"]
)
def test_a_host_is_a_name_alone(host: str) -> None:
    check_leave(AgentConfig(sandbox_network=["*", "localhost", "*.example.com", "a-b.example"]))
    with pytest.raises(ConfigError, match=r"agent\.projects\.p\.sandbox_network"):
        check_leave(AgentConfig(projects={"p": ProjectConfig(path="/p", sandbox_network=[host])}))


@pytest.mark.parametrize("mode", ["auto", "dontAsk", "manual", "plan"])
def test_every_mode_of_claude_may_be_configured_but_the_one_that_asks_nothing(
    tmp_path: Path, mode: str
) -> None:
    env = {"MESH_HOME": str(tmp_path), "MESH_AGENT__PERMISSION_MODE": mode}
    assert load_config(env).config.agent.permission_mode == mode
    for table in ("MESH_AGENT__PERMISSION_MODE", "MESH_AGENT__PROJECTS"):
        value = "bypassPermissions"
        if table == "MESH_AGENT__PROJECTS":
            value = '{p = {path = "/p", permission_mode = "bypassPermissions"}}'
        with pytest.raises(ConfigError, match="bypassPermissions"):
            load_config({"MESH_HOME": str(tmp_path), table: value})
