"""How Claude Code is started: command line, environment, and whether it can be started here."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from agentd.errors import RunnerUnavailableError
from agentd.runners.claude_sandbox import sandbox_settings
from agentd.runners.programs import find_tool, while_busy, why_not
from agentd.runners.protocol import Job
from agentd.specialists import Specialist
from common.claude_settings import NOTHING_SAID, OwnerSettings

MINIMUM_VERSION = (2, 1, 330)
"""The version on which the stdio protocol, session states and per-result usage were verified."""

VERSION_TIMEOUT_S = 20.0

QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    # Says when a turn is really over; stdin may be closed only then.
    "CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS": "1",
    # Subagents and shells in the foreground: one result, and nothing left running after it.
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
}

KEPT_FROM_TASKS = (
    "CronCreate",
    "CronDelete",
    "CronList",
    "EnterWorktree",
    "ExitWorktree",
    "ListAgents",
    "Monitor",
    "ScheduleWakeup",
    "SendMessage",
)
"""Tools that outlive an attempt or reach other sessions of the same user."""


PERMISSION_MODES = ("default", "manual", "acceptEdits", "plan", "auto", "dontAsk")
"""Those a specialist may choose; bypassPermissions is not among them."""

SOURCES_OF_A_REPOSITORY = ("project", "local")
"""Unless they are left out, --print runs a repository's hooks and helpers unasked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaudeSettings:
    """What `[agent]` says about the Claude runner."""

    program: str = "claude"
    model: str = ""
    permission_mode: str = "acceptEdits"
    allowed_tools: tuple[str, ...] = ()
    sandbox: str = "off"
    sandbox_write: tuple[str, ...] = ()
    sandbox_network: tuple[str, ...] = ()
    setting_sources: str = "user"
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What holds at this start: whether commands are sandboxed, what the owner's file says."""

    sandboxed: bool = False
    owner: OwnerSettings = NOTHING_SAID


NO_BOUNDS = Bounds()


def find_claude(program: str, environment: Mapping[str, str]) -> str:
    """The CLI's full path; RunnerUnavailableError says how to get one."""
    found = find_tool(program, environment)
    if found is None:
        where = "on the PATH" if "/" not in program else f"at {program}"
        raise RunnerUnavailableError(
            f"Claude Code was not found {where}. Install it (https://claude.com/claude-code) and"
            " log in once with 'claude', or set agent.claude in mesh.toml to its full path."
        )
    return found


async def read_version(program: str, environment: Mapping[str, str]) -> str:
    """The CLI's version text; refuses one older than MINIMUM_VERSION."""
    try:
        process = await while_busy(
            lambda: asyncio.create_subprocess_exec(
                program,
                "--version",
                env=dict(environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        )
    except OSError as error:
        raise RunnerUnavailableError(why_not(program, error)) from error
    try:
        async with asyncio.timeout(VERSION_TIMEOUT_S):
            output, complaint = await process.communicate()
    except TimeoutError as error:
        process.kill()
        await process.wait()
        raise RunnerUnavailableError(
            f"{program} --version did not answer in {VERSION_TIMEOUT_S:.0f} s. Run it by hand."
        ) from error
    if process.returncode:
        words = complaint.decode(errors="replace").strip().splitlines()
        said = f": {words[-1][:300]}" if words else ""
        raise RunnerUnavailableError(
            f"{program} --version failed ({process.returncode}){said}. Install Claude Code again."
        )
    return checked_version(output.decode(errors="replace"), program)


def checked_version(output: str, program: str) -> str:
    """The version in `output` when it is new enough, else RunnerUnavailableError."""
    match = re.match(r"\s*(\d+)\.(\d+)\.(\d+)", output)
    needed = ".".join(map(str, MINIMUM_VERSION))
    if match is None:
        raise RunnerUnavailableError(
            f"{program} does not answer as Claude Code does; is agent.claude right?"
            f" Version {needed} or newer is needed."
        )
    if tuple(map(int, match.groups())) < MINIMUM_VERSION:
        raise RunnerUnavailableError(
            f"{program} is version {match.group(0).strip()}, {needed} or newer is needed."
            " Run: claude update"
        )
    return match.group(0).strip()


def command_line(
    program: str,
    settings: ClaudeSettings,
    job: Job,
    *,
    new_session_id: str,
    bounds: Bounds = NO_BOUNDS,
) -> list[str]:
    """The whole argv. The prompt is never in it: `ps` shows argv, and it may begin with '-'."""
    argv = [
        program,
        "--print",
        "--input-format=stream-json",
        "--output-format=stream-json",
        "--verbose",
        "--include-partial-messages",
        "--permission-prompt-tool=stdio",
        f"--setting-sources={','.join(_sources(settings, job, bounds))}",
        *(() if job.trust_project else ("--strict-mcp-config",)),
        f"--permission-mode={_permission_mode(settings, job)}",
        f"--disallowedTools={','.join(KEPT_FROM_TASKS)}",
        f"--resume={job.session_id}" if job.session_id else f"--session-id={new_session_id}",
    ]
    if model := _model(settings, job):
        argv.append(f"--model={model}")
    if rules := _allowed(settings, job, bounds):
        argv.append(f"--allowedTools={','.join(rules)}")
    if bounds.sandboxed:
        argv.append(f"--settings={_sandbox(settings, job)}")
    if job.max_turns is not None:
        argv.append(f"--max-turns={job.max_turns}")
    if job.max_cost_usd is not None:
        argv.append(f"--max-budget-usd={job.max_cost_usd:.6f}")
    if job.specialist is not None:
        argv += [f"--agents={agents_json(job.specialist)}", f"--agent={job.specialist.name}"]
    return argv


def _permission_mode(settings: ClaudeSettings, job: Job) -> str:
    """The specialist's own mode, which in `--agents` the CLI heeds for subagents only; else the
    project's, else the agent's."""
    mode = job.specialist.extra.get("permissionMode") if job.specialist is not None else None
    if mode in PERMISSION_MODES:
        return str(mode)
    return job.leave.permission_mode or settings.permission_mode


def _sources(settings: ClaudeSettings, job: Job, bounds: Bounds) -> tuple[str, ...]:
    """Whose settings files count: the owner's own, and those of a repository they trust."""
    own = ("user",) if counts_owner(settings, bounds.owner) else ()
    return own + (SOURCES_OF_A_REPOSITORY if job.trust_project else ())


def counts_owner(settings: ClaudeSettings, owner: OwnerSettings) -> bool:
    """Whether the owner's own Claude settings are read."""
    match settings.setting_sources:
        case "user-anyway":
            return True
        case "user":
            return not owner.too_wide
    return False


def _allowed(settings: ClaudeSettings, job: Job, bounds: Bounds) -> list[str]:
    rules = [*settings.allowed_tools, *job.leave.allow]
    if _needs_no_question(settings, job, bounds):
        rules.append("Bash")
    return list(dict.fromkeys(rules))


def _needs_no_question(settings: ClaudeSettings, job: Job, bounds: Bounds) -> bool:
    """Whether every command that needs no question by this rule is sure to be sandboxed.

    Claude allows most sandboxed commands alone, but asks about loops and the like, which it cannot
    read. What leaves the sandbox it asks about whatever the rules say, except commands that a
    settings file takes out of it: where there may be any, there is no such rule.
    """
    reads_owner = counts_owner(settings, bounds.owner)
    excludes = job.trust_project or (reads_owner and bounds.owner.excludes)
    return bounds.sandboxed and not excludes and _permission_mode(settings, job) != "plan"


def _sandbox(settings: ClaudeSettings, job: Job) -> str:
    nobody_asked = _permission_mode(settings, job) == "dontAsk"
    table = sandbox_settings(
        strict=settings.sandbox == "on" or nobody_asked,
        write=(*settings.sandbox_write, *job.leave.write),
        network=(*settings.sandbox_network, *job.leave.network),
        secrets=settings.secrets,
    )
    return json.dumps(table, ensure_ascii=False)


def _model(settings: ClaudeSettings, job: Job) -> str:
    """The task's model, else its specialist's own, else the configured one."""
    if job.model:
        return job.model
    if job.specialist is not None and job.specialist.model not in (None, "inherit"):
        return ""
    return settings.model


def agents_json(specialist: Specialist) -> str:
    """The `--agents` table with this one member."""
    member = dict(specialist.extra) | {
        "description": specialist.description,
        "prompt": specialist.prompt,
    }
    if specialist.tools:
        member["tools"] = list(specialist.tools)
    if specialist.model:
        member["model"] = specialist.model
    return json.dumps({specialist.name: member}, ensure_ascii=False)
