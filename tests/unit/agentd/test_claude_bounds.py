"""What a run may do unasked: the sandbox it is started in, its rules, whose settings it reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentd.errors import RunnerUnavailableError
from agentd.leave import Leave
from agentd.runners.claude import ClaudeRunner
from agentd.runners.claude_launch import Bounds, ClaudeSettings, command_line
from agentd.runners.claude_sandbox import STUBS, with_short_temporary, without_stubs
from agentd.runners.protocol import Job
from agentd.secrets import secret_paths
from agentd.specialists import Specialist
from common.claude_settings import OwnerSettings
from common.config import BridgeConfig, Config
from common.paths import MeshPaths
from common.sandbox import Ability, probe_sandbox

SANDBOXED = Bounds(sandboxed=True)
MISSING = Ability(False, "bubblewrap is not installed", "Run: sudo apt install bubblewrap socat")


def launched(
    settings: ClaudeSettings | None = None, bounds: Bounds = SANDBOXED, **fields: Any
) -> dict[str, str]:
    job = Job(fence=1, prompt="p", folder=Path("/w"), environment={}, **fields)
    line = command_line(
        "/bin/claude",
        settings or ClaudeSettings(sandbox="auto"),
        job,
        new_session_id="s",
        bounds=bounds,
    )
    return dict(word.split("=", 1) for word in line if word.startswith("--") and "=" in word)


def sandbox(**fields: Any) -> dict[str, Any]:
    table: dict[str, Any] = json.loads(launched(**fields)["--settings"])["sandbox"]
    return table


def test_the_sandbox_is_required_confines_and_needs_no_question() -> None:
    table = sandbox()
    assert table["enabled"] is table["failIfUnavailable"] is True
    assert table["autoAllowBashIfSandboxed"] is True
    assert table["network"]["allowedDomains"] == []
    assert table["network"]["strictAllowlist"] is True
    assert table["filesystem"]["disabled"] is False
    assert launched()["--allowedTools"] == "Bash"


def test_without_a_sandbox_no_command_is_allowed_and_nothing_is_claimed() -> None:
    assert "--settings" not in launched(bounds=Bounds())
    assert "--allowedTools" not in launched(bounds=Bounds())


@pytest.mark.parametrize(
    ("mode", "setting", "may_ask_to_leave"),
    [("acceptEdits", "auto", True), ("acceptEdits", "on", False), ("dontAsk", "auto", False)],
)
def test_leaving_the_sandbox_is_asked_about_where_somebody_may_be_asked(
    mode: str, setting: str, may_ask_to_leave: bool
) -> None:
    settings = ClaudeSettings(sandbox=setting, permission_mode=mode)
    assert sandbox(settings=settings)["allowUnsandboxedCommands"] is may_ask_to_leave


def test_a_projects_folders_hosts_and_rules_add_to_the_agents() -> None:
    settings = ClaudeSettings(
        sandbox="auto",
        sandbox_write=("~/.cache/a",),
        sandbox_network=("a.example",),
        allowed_tools=("WebSearch",),
    )
    leave = Leave(allow=("Bash(npm test:*)",), write=("/b",), network=("b.example", "localhost"))
    table = sandbox(settings=settings, leave=leave)
    assert table["filesystem"]["allowWrite"] == ["~/.cache/a", "/b"]
    assert table["network"]["allowedDomains"] == ["a.example", "b.example", "localhost"]
    assert table["network"]["allowLocalBinding"] is True
    line = launched(settings=settings, bounds=Bounds(), leave=leave)
    assert line["--allowedTools"] == "WebSearch,Bash(npm test:*)"


def test_another_projects_leave_is_not_this_ones() -> None:
    assert launched(bounds=Bounds()).get("--allowedTools") is None


@pytest.mark.parametrize(
    ("specialist", "project", "mode"),
    [(None, None, "acceptEdits"), (None, "auto", "auto"), ("plan", "auto", "plan")],
)
def test_the_mode_is_the_specialists_else_the_projects_else_the_agents(
    specialist: str | None, project: str | None, mode: str
) -> None:
    who = specialist and Specialist(
        name="x", description="x", prompt="x", extra={"permissionMode": specialist}
    )
    leave = Leave(permission_mode=project)
    assert launched(specialist=who or None, leave=leave)["--permission-mode"] == mode


@pytest.mark.parametrize(
    ("fields", "bounds"),
    [
        ({"trust_project": True}, SANDBOXED),
        ({"leave": Leave(permission_mode="plan")}, SANDBOXED),
        ({}, Bounds(sandboxed=True, owner=OwnerSettings(excludes=True))),
    ],
    ids=["a trusted repository", "plan mode", "the owner's exclusions"],
)
def test_where_a_command_might_run_outside_the_sandbox_each_is_not_allowed_beforehand(
    fields: dict[str, Any], bounds: Bounds
) -> None:
    assert "--allowedTools" not in launched(bounds=bounds, **fields)


TOO_WIDE = Bounds(owner=OwnerSettings(too_wide=("permissions.allow: Bash",)))


@pytest.mark.parametrize(
    ("setting", "bounds", "trusted", "sources"),
    [
        ("user", Bounds(), False, "user"),
        ("user", Bounds(), True, "user,project,local"),
        ("user", TOO_WIDE, False, ""),
        ("user", TOO_WIDE, True, "project,local"),
        ("user-anyway", TOO_WIDE, False, "user"),
        ("none", Bounds(), False, ""),
        ("none", Bounds(), True, "project,local"),
    ],
)
def test_the_owners_settings_count_unless_they_allow_everything_and_a_repositorys_when_trusted(
    setting: str, bounds: Bounds, trusted: bool, sources: str
) -> None:
    settings = ClaudeSettings(setting_sources=setting)
    line = launched(settings=settings, bounds=bounds, trust_project=trusted)
    assert line["--setting-sources"] == sources


def test_secrets_that_exist_are_read_by_neither_claude_nor_what_it_runs(tmp_path: Path) -> None:
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    paths = MeshPaths(tmp_path / "mesh", tmp_path / "mesh")
    paths.tokens_dir.mkdir(parents=True)
    config = Config(bridge=BridgeConfig(chat_db=str(tmp_path / "m" / "chat.db")))
    (tmp_path / "m").mkdir()
    secrets = secret_paths({"HOME": str(tmp_path / "home")}, paths, config)
    settings = ClaudeSettings(sandbox="auto", secrets=secrets)
    table = json.loads(launched(settings=settings)["--settings"])
    wanted = {str(tmp_path / "home" / ".ssh"), str(paths.tokens_dir), str(tmp_path / "m")}
    assert set(table["sandbox"]["filesystem"]["denyRead"]) == wanted
    assert {f"Read(/{path}/**)" for path in wanted} <= set(table["permissions"]["deny"])
    hidden = {item["name"] for item in table["sandbox"]["credentials"]["envVars"]}
    assert {"ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"} <= hidden


def test_git_overlooks_the_stubs_but_not_what_the_folder_has_or_its_owner_ignores(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "w"
    (folder / ".vscode").mkdir(parents=True)
    environment = without_stubs(
        {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "a.b", "GIT_CONFIG_VALUE_0": "c"},
        folder,
        tmp_path / "memory",
        "*.swp\n",
    )
    assert environment["GIT_CONFIG_COUNT"] == "2"
    assert environment["GIT_CONFIG_KEY_1"] == "core.excludesFile"
    lines = Path(environment["GIT_CONFIG_VALUE_1"]).read_text().splitlines()
    assert lines[0] == "*.swp"
    assert set(lines[1:]) == {f"/{name}" for name in STUBS} - {"/.vscode"}


def test_the_sandboxs_sockets_have_room_wherever_the_temporary_folder_is() -> None:
    assert with_short_temporary({"TMPDIR": "/var/tmp"})["TMPDIR"] == "/var/tmp"
    assert with_short_temporary({"TMPDIR": "/x" * 40})["TMPDIR"] == "/tmp"
    assert "TMPDIR" not in with_short_temporary({})


def runner(tmp_path: Path, setting: str, ability: Ability) -> ClaudeRunner:
    program = tmp_path / "claude"
    program.write_text("#!/bin/sh\necho '2.1.330 (Claude Code)'\n")
    program.chmod(0o700)
    return ClaudeRunner(
        ClaudeSettings(program=str(program), sandbox=setting),
        environment={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        new_id=lambda: "s",
        memory=tmp_path / "memory",
        probe=lambda _: ability,
    )


async def test_on_where_it_is_not_possible_refuses_work_with_the_remedy(tmp_path: Path) -> None:
    claude = runner(tmp_path, "on", MISSING)
    facts = await claude.check()
    assert facts.refusal is not None
    assert "sudo apt install bubblewrap socat" in facts.refusal
    job = Job(fence=1, prompt="p", folder=tmp_path, environment={})
    with pytest.raises(RunnerUnavailableError, match="bubblewrap is not installed"):
        await claude.start(job)


@pytest.mark.parametrize(
    ("setting", "ability", "fact"),
    [
        ("auto", MISSING, "not possible: bubblewrap is not installed. Run: sudo apt install"),
        ("auto", Ability(True), "on"),
        ("on", Ability(True), "on"),
        ("off", Ability(True), "off, as configured"),
    ],
)
async def test_what_became_of_the_sandbox_is_a_fact_of_the_node(
    tmp_path: Path, setting: str, ability: Ability, fact: str
) -> None:
    found = await runner(tmp_path, setting, ability).check()
    assert found.refusal is None
    assert str(found.facts["sandbox"]).startswith(fact)


async def test_settings_that_are_left_out_are_named(tmp_path: Path) -> None:
    (tmp_path / ".claude").mkdir()
    file = tmp_path / ".claude" / "settings.json"
    file.write_text(json.dumps({"permissions": {"allow": ["Bash"]}}))
    unconfined = await runner(tmp_path, "auto", MISSING).check()
    assert str(file) in unconfined.facts["claude_settings"]
    assert "permissions.allow: Bash" in unconfined.facts["claude_settings"]
    confined = await runner(tmp_path, "auto", Ability(True)).check()
    assert confined.facts["claude_settings"] == "yours"


@pytest.mark.parametrize("system", ["Linux", "Darwin", "Windows"])
def test_a_machine_without_the_sandboxs_tools_says_what_is_missing(
    tmp_path: Path, system: str
) -> None:
    ability = probe_sandbox({"PATH": str(tmp_path)}, system)
    if system == "Linux":
        assert ability.lack.startswith("bubblewrap and socat are not installed. Run: ")
    assert not ability.usable or system == "Darwin"


def test_bubblewrap_that_may_not_make_namespaces_is_not_taken_for_usable(tmp_path: Path) -> None:
    for name, body in {
        "bwrap": "echo 'No permissions' >&2; exit 1",
        "socat": "",
        "true": "",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o700)
    ability = probe_sandbox({"PATH": str(tmp_path)}, "Linux")
    assert not ability.usable
    assert "No permissions" in ability.why
