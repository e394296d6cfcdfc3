"""The real Claude Code CLI in its sandbox: no question, nothing outside, nothing of a secret."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from common.sandbox import probe_sandbox
from common.wire.tasks import Outcome
from tests.conftest import missing_tool
from tests.contract.agentd.agent_process import agentd
from tests.contract.agentd.scripted_hub import ScriptedHub
from tests.fakes.model_api import ModelApi

pytestmark = [pytest.mark.claude, pytest.mark.timeout(90)]

Settings = dict[str, Any]


@pytest.fixture
def sandbox() -> None:
    ability = probe_sandbox(os.environ)
    if not ability.usable:
        missing_tool(f"Claude's sandbox ({ability.lack})")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A repository with one commit."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "a.txt").write_text("a\n")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def git(folder: Path, *arguments: str) -> str:
    who = {
        f"GIT_{w}_{k}": "t@example.com" for w in ("AUTHOR", "COMMITTER") for k in ("NAME", "EMAIL")
    }
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", **who}
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout


def steps(*commands: str, **more: Any) -> str:
    calls = [{"tool": "Bash", "input": {"command": c, "description": "d"} | more} for c in commands]
    return f"[[scenario:steps {json.dumps({'steps': [*calls, {'text': 'Done.'}]})}]]"


def results(api: ModelApi) -> list[str]:
    """What the tools answered, in order."""
    texts = []
    for message in api.books.requests[-1]["messages"]:
        for block in message["content"] if isinstance(message["content"], list) else ():
            if block.get("type") == "tool_result":
                content = block["content"]
                texts.append(content if isinstance(content, str) else json.dumps(content))
    return texts


@pytest.mark.usefixtures("sandbox")
async def test_a_typical_run_asks_nothing_and_leaves_its_folder_alone(
    hub: ScriptedHub,
    clean_env: dict[str, str],
    tmp_path: Path,
    claude_settings: Settings,
    model_api: ModelApi,
    shop: Path,
) -> None:
    home = Path(clean_env["HOME"])
    (home / ".ssh").mkdir()
    (home / ".ssh" / "id").write_text("SECRET-KEY")
    (home / ".config" / "git").mkdir(parents=True)
    (home / ".config" / "git" / "ignore").write_text("*.log\n")
    (Path(clean_env["MESH_HOME"]) / "tokens").mkdir(mode=0o700)
    (Path(clean_env["MESH_HOME"]) / "tokens" / "operator.token").write_text("SECRET-TOKEN")
    outside = tmp_path / "outside"
    identity = "git -c user.name=T -c user.email=t@example.com"
    commands = [
        "for i in 1 2; do echo test-$i >> new.txt; done; python3 -c 'print(40 + 2)'",
        f"echo x > noise.log; git add -A && {identity} commit -q -m second && git status --short",
        f"echo x > {outside}; echo x > {shop}/a.txt; echo x > {shop}/.git/config",
        "curl -sS -m 5 http://example.com",
        f"cat {home}/.ssh/id {clean_env['MESH_HOME']}/tokens/operator.token",
        "echo key=$ANTHROPIC_API_KEY.",
    ]
    fence = await hub.offer(steps(*commands), project="shop")
    settings = claude_settings | {"sandbox": "on", "projects": {"shop": {"path": str(shop)}}}
    async with agentd(hub, clean_env, tmp_path, **settings):
        result = await hub.result_of(fence, within_s=60)
    assert (result.outcome, result.text) == (Outcome.OK, "Done.")
    assert [ask.summary for _, ask in hub.asks] == []
    said = results(model_api)
    assert "42" in said[0]
    log = git(shop, "log", "--all", "--format=%s", "--name-only").split()
    assert log[:2] == ["second", "new.txt"]
    assert not outside.exists()
    assert (shop / "a.txt").read_text() == "a\n"
    assert "blocked" in said[3]
    assert "SECRET" not in json.dumps(model_api.books.requests)
    assert "key=." in said[5]
    assert hub.registrations[0].facts.sandbox == "on"


@pytest.mark.usefixtures("sandbox")
async def test_what_the_owner_listed_is_open_and_the_rest_stays_shut(
    hub: ScriptedHub,
    clean_env: dict[str, str],
    tmp_path: Path,
    claude_settings: Settings,
    model_api: ModelApi,
    shop: Path,
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    port = model_api.url.rpartition(":")[2]
    commands = [
        f"echo x > {cache}/x && cat {cache}/x",
        f"curl -sS -m 5 --noproxy '' -o /dev/null -w %{{http_code}} http://localhost:{port}/",
        "curl -sS -m 5 http://b.example/",
    ]
    fence = await hub.offer(steps(*commands), project="shop")
    project = {"path": str(shop), "sandbox_write": [str(cache)], "sandbox_network": ["localhost"]}
    settings = claude_settings | {"sandbox": "auto", "projects": {"shop": project}}
    async with agentd(hub, clean_env, tmp_path, **settings):
        await hub.result_of(fence, within_s=60)
    said = results(model_api)
    assert (cache / "x").exists()
    assert "404" in said[1]  # the model API answered: the host was let through
    assert "blocked" in said[2]
    assert hub.asks == []


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("setting", ["auto", "on"])
async def test_leaving_the_sandbox_is_a_question_of_high_risk_or_impossible(
    hub: ScriptedHub,
    clean_env: dict[str, str],
    tmp_path: Path,
    claude_settings: Settings,
    setting: str,
) -> None:
    outside = tmp_path / "outside"
    fence = await hub.offer(steps(f"touch {outside}", dangerouslyDisableSandbox=True))
    settings = claude_settings | {
        "sandbox": setting,
        "allowed_tools": ["Bash"],
        "park_after_s": 0.2,
    }
    async with agentd(hub, clean_env, tmp_path, **settings):
        result = await hub.result_of(fence, within_s=60)
    assert not outside.exists()
    if setting == "on":
        assert (result.outcome, hub.asks) == (Outcome.OK, [])
    else:
        assert result.outcome == Outcome.PARKED
        assert [ask.risk for _, ask in hub.asks] == ["high"]


async def test_a_node_that_must_sandbox_and_cannot_takes_no_work_and_says_what_to_do(
    hub: ScriptedHub, clean_env: dict[str, str], tmp_path: Path, claude_settings: Settings
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("git", "node", "env", "sh"):
        for folder in os.environ["PATH"].split(":"):
            if (Path(folder) / name).exists():
                (tools / name).symlink_to(Path(folder) / name)
                break
    bare = clean_env | {"PATH": str(tools)}
    async with agentd(hub, bare, tmp_path, **claude_settings | {"sandbox": "on"}):
        await hub.until(lambda: hub.heartbeats)
    assert hub.heartbeats[0].accepting is False
    assert "sudo apt install bubblewrap socat" in (hub.heartbeats[0].not_accepting_reason or "")
