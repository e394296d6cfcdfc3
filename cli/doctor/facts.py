"""What probes report: plain values, so that every check can be tried without a machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from common.claude_settings import OwnerSettings
from common.config import Config
from common.paths import MeshPaths
from common.sandbox import Ability
from common.wire.events import Snapshot
from common.wire.messages import BridgeProblem


@dataclass(frozen=True, slots=True)
class Here:
    """Where the doctor looks. `config` None: it is broken, and `config_error` says how."""

    env: Mapping[str, str]
    paths: MeshPaths
    config: Config | None
    config_error: str | None = None


@dataclass(frozen=True, slots=True)
class Interpreter:
    python: tuple[int, ...]
    sqlite: tuple[int, ...]
    executable: str
    executable_pth: tuple[str, ...] = ()
    """Files of site-packages that run code at every start and are not known to."""


@dataclass(frozen=True, slots=True)
class WrongMode:
    """`fixable`: ours, and no link: chmod to `wanted` mends it."""

    path: Path
    mode: int
    wanted: int
    owner: int
    fixable: bool


@dataclass(frozen=True, slots=True)
class Files:
    looked_at: int
    wrong: tuple[WrongMode, ...] = ()


@dataclass(frozen=True, slots=True)
class Disk:
    folder: Path
    free_mb: int
    filesystem: str = ""
    log_mb: int = 0


@dataclass(frozen=True, slots=True)
class LockFile:
    """`pid`: what it names; `alive`: that process runs and is the daemon."""

    path: Path
    pid: str
    alive: bool


@dataclass(frozen=True, slots=True)
class Daemons:
    """`wanted` by configuration, with the lock each holds; `listening`: the hub's addresses."""

    locks: tuple[LockFile, ...] = ()
    wanted: Mapping[str, LockFile | None] = field(default_factory=dict)
    stopped_by_hand: frozenset[str] = frozenset()
    listening: tuple[str, ...] = ()
    orphans: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Login:
    """The block in .zprofile: how often it is there, and whether it can be read at all."""

    file: Path
    blocks: int = 0
    current: bool = True
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Power:
    """`sleep_min`: idle minutes after which this Mac sleeps; 0: never, None: no Mac."""

    sleep_min: int | None = None


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """`problem`: why the file is of no use; `good`: what the hub said, None if it was not asked."""

    file: str
    role: str
    problem: str | None = None
    good: bool | None = None
    answer: str = ""


@dataclass(frozen=True, slots=True)
class HubFacts:
    url: str
    error: str | None = None
    """Why nothing useful answered."""
    code: str = ""
    tls: bool = False
    tls_days_left: float | None = None
    pinned: bool = False
    pin_matches: bool = True
    tokens: tuple[TokenFacts, ...] = ()
    snapshot: Snapshot | None = None
    offset_s: float | None = None
    """How far the hub's clock is ahead of ours."""
    slow: bool = False
    """It answers, and something asked of it did not come in time."""
    certain_s: float = 0.0
    """How wrong `offset_s` may be: half the time the answer took."""


@dataclass(frozen=True, slots=True)
class Backups:
    database: bool
    newest_age_s: float | None = None
    count: int = 0
    every_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class Soundness:
    """What SQLite says of a database; `ok`, or its first complaint. `gone`: there was one."""

    database: str | None = None
    backup: str | None = None
    backup_name: str = ""
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Claude:
    """`path` None: not found. `logged_in` None: it could not say."""

    program: str
    path: str | None = None
    version: tuple[int, ...] | None = None
    logged_in: bool | None = None
    method: str = ""
    said: str = ""


@dataclass(frozen=True, slots=True)
class Confinement:
    """`setting`: `agent.sandbox`; `file`: the owner's Claude settings and `owner` what they say."""

    setting: str
    ability: Ability
    file: Path
    owner: OwnerSettings
    sources: str = "user"


@dataclass(frozen=True, slots=True)
class Messages:
    """What `mesh-imsgd --check` found; `said`: how it failed to find out."""

    problems: tuple[BridgeProblem, ...] = ()
    said: str | None = None


@dataclass(frozen=True, slots=True)
class Exposure:
    """`readable`: this terminal can read Messages' database, None where there is none;
    `started_here`: the agent is a child of `mesh up`, so it has the rights of a terminal."""

    readable: bool | None = None
    started_here: bool = False


@dataclass(frozen=True, slots=True)
class Automation:
    """How `osascript` ended when asked to count Messages' accounts."""

    found: bool
    timed_out: bool = False
    status: int = 0
    error_number: int | None = None
    said: str = ""
