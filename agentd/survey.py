"""What this node says of itself: looked up now and then, and told when it changed.

Every change is an event of the hub, so figures that always move are rounded.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import re
import shutil
from collections.abc import Callable, Mapping
from math import floor, log10
from pathlib import Path

import msgspec

from agentd.git import Git
from agentd.runners.protocol import RunnerFacts
from agentd.worktree import Project
from common.clock import Clock
from common.errors import MeshError
from common.wire.facts import MAX_PROJECTS, MAX_WORDS, NodeFacts, ProjectFacts

logger = logging.getLogger(__name__)

EVERY_S = 30.0
FULL_EVERY_S = 300.0
"""Git and the battery are asked no more often than that, folders each time."""

GIT_WITHIN_S = 10.0
HEAD_CHARS = 12
_SUPPLIES = Path("/sys/class/power_supply")
_KNOWN = frozenset(NodeFacts.__struct_fields__)


class Survey:
    """`facts` is what is known; `run` keeps it so, and calls `changed` when it moved."""

    def __init__(
        self,
        facts: NodeFacts,
        *,
        projects: Mapping[str, Project],
        work_dir: Path,
        git: Callable[[], Git],
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        named = list(projects.values())[:MAX_PROJECTS]
        self._projects = named
        self._work_dir = work_dir
        self._git = git
        self._clock = clock
        self._changed = changed
        self._looked_at: float | None = None
        known = [ProjectFacts(name=each.name, problem=problem_of(each)) for each in named]
        self.facts = msgspec.structs.replace(facts, projects=known)

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        """Look once; what cannot be found out stays unsaid."""
        now = self._clock.monotonic()
        full = self._looked_at is None or now - self._looked_at >= FULL_EVERY_S
        if full:
            self._looked_at = now
        known = {project.name: project for project in self.facts.projects or ()}
        projects = [await self._project(each, known[each.name], full) for each in self._projects]
        seen: dict[str, object] = {
            "projects": projects,
            "disk_free_gb": await asyncio.to_thread(self._disk),
        }
        if full:
            seen["power"] = await power()
        self.update(**seen)

    def update(self, **seen: object) -> None:
        was, self.facts = self.facts, msgspec.structs.replace(self.facts, **seen)
        if self.facts != was:
            self._changed()

    async def _project(self, project: Project, was: ProjectFacts, full: bool) -> ProjectFacts:
        problem = await asyncio.to_thread(problem_of, project)
        if problem is not None:
            return ProjectFacts(name=project.name, problem=problem)
        if not full and was.problem is None:
            return was
        try:
            async with asyncio.timeout(GIT_WITHIN_S):
                return await project_facts(self._git(), project)
        except (TimeoutError, MeshError, OSError) as error:
            logger.info("project not read", extra={"project": project.name, "error": str(error)})
            return msgspec.structs.replace(was, problem=None)

    def _disk(self) -> float | None:
        try:
            return two_digits(shutil.disk_usage(self._work_dir).free / 1e9)
        except OSError:
            return None


def problem_of(project: Project) -> str | None:
    """Why nothing can work in that project; only what a look at its folder tells."""
    if not project.folder.is_dir():
        return clipped(f"the folder {project.folder} does not exist (agent.projects in mesh.toml)")
    return None


async def project_facts(git: Git, project: Project) -> ProjectFacts:
    """How the repository stands: two calls of git that write nothing."""
    code, status, complaint = await git.attempt(
        project.folder,
        "status",
        "--porcelain=v2",
        "--branch",
        "--untracked-files=no",
        "--ignore-submodules=all",
    )
    if code != 0 and (readable := await _without_status(git, project)) is not None:
        return readable
    if code != 0:
        said = " ".join(complaint.split()) or "git cannot read it"
        return ProjectFacts(name=project.name, problem=clipped(f"{project.folder}: {said}"))
    lines = status.splitlines()
    stated = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# branch."))
    head, branch = stated.get("branch.oid"), stated.get("branch.head")
    if head == "(initial)":
        return ProjectFacts(name=project.name, problem="it has no commit yet; make a first one")
    _, remote, _ = await git.attempt(project.folder, "remote", "get-url", "origin")
    return ProjectFacts(
        name=project.name,
        head=None if head is None else head[:HEAD_CHARS],
        branch=None if branch in (None, "(detached)") else clipped(branch),
        remote=without_login(remote.strip()),
        dirty=any(not line.startswith("#") for line in lines),
    )


async def _without_status(git: Git, project: Project) -> ProjectFacts | None:
    """A repository whose status fails on a filter of its files (git-lfs that is not installed) can
    be read all the same: the task that needs the filter is told what to install."""
    code, head, _ = await git.attempt(project.folder, "rev-parse", "--verify", "HEAD^{commit}")
    if code != 0:
        return None
    code, branch, _ = await git.attempt(
        project.folder, "symbolic-ref", "--quiet", "--short", "HEAD"
    )
    _, remote, _ = await git.attempt(project.folder, "remote", "get-url", "origin")
    return ProjectFacts(
        name=project.name,
        head=head.strip()[:HEAD_CHARS],
        branch=clipped(branch.strip()) if code == 0 else None,
        remote=without_login(remote.strip()),
    )


_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<host>[^/?#]*)(?P<path>[^?#]*)")
_HOST = re.compile(r"[A-Za-z0-9._~-]+(?::\d+)?|\[[0-9A-Fa-f:.]+\](?::\d+)?|")


def without_login(url: str) -> str | None:
    """The remote without user, password and query; None where it cannot be told what is what."""
    if not url or not url.isprintable() or "::" in url.partition("://")[0]:
        return None  # `ext::` runs a command, whose arguments may hold anything
    if "://" not in url:
        return clipped(url)  # a path, or host:path, where a user is no secret
    match = _URL.match(url)
    if match is None:
        return None
    login, _, host = match["host"].rpartition("@")
    before = match["path"].rpartition("@")[0]
    if not _HOST.fullmatch(host) or ":" in before or (login and before):
        return None  # a password with a slash in it looks like a path
    return clipped(f"{match['scheme']}://{host}{match['path']}")


def runner_facts(found: RunnerFacts) -> dict[str, object]:
    """What the runner found out, as fields of NodeFacts; what has none there is its note."""
    known: dict[str, object] = {
        key: clipped(str(value)) for key, value in found.facts.items() if key in _KNOWN
    }
    others = [f"{key}: {value}" for key, value in found.facts.items() if key not in _KNOWN]
    return known | ({"note": clipped(", ".join(others))} if others else {})


def machine_facts() -> dict[str, object]:
    mac, _, _ = platform.mac_ver()
    system = f"macOS {mac}" if mac else f"{platform.system()} {platform.release()}".strip()
    return {"system": clipped(system), "python": platform.python_version(), "pid": os.getpid()}


async def power() -> str | None:
    """Where the current comes from; None where nothing says so, as on a machine without battery
    on Linux."""
    pmset = shutil.which("pmset")
    if pmset is None:
        return await asyncio.to_thread(_linux_power)
    process = await asyncio.create_subprocess_exec(
        pmset,
        "-g",
        "batt",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(GIT_WITHIN_S):
            said, _ = await process.communicate()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return read_pmset(said.decode(errors="replace"))


def read_pmset(said: str) -> str | None:
    """`Now drawing from 'Battery Power'` and, a line below, `64%; discharging; 3:10 remaining`."""
    if "'AC Power'" in said:
        return "mains"
    left = re.search(r"(\d{1,3})%", said)
    return f"battery {_tens(int(left[1]))} %" if left and "'Battery Power'" in said else None


def _linux_power() -> str | None:
    try:
        supplies = {path: _read(path / "type") for path in sorted(_SUPPLIES.iterdir())}
    except OSError:
        return None
    if any(kind == "Mains" and _read(path / "online") == "1" for path, kind in supplies.items()):
        return "mains"
    batteries = [_read(path / "capacity") for path, kind in supplies.items() if kind == "Battery"]
    left = [int(percent) for percent in batteries if percent.isdecimal()]
    return f"battery {_tens(min(left))} %" if left else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _tens(percent: int) -> int:
    return round(percent / 10) * 10


def two_digits(number: float) -> float:
    if number <= 0:
        return 0.0
    return round(number, 1 - floor(log10(number)))


def clipped(text: str) -> str:
    """Within what the wire takes: one word too long would refuse the whole registration."""
    return text[:MAX_WORDS].encode(errors="replace").decode()
