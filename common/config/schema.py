"""The tables of `mesh.toml`. A field's description is what the reference prints."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

PositiveSeconds = Annotated[float, Meta(gt=0)]

PermissionMode = Literal["default", "manual", "acceptEdits", "plan", "auto", "dontAsk"]
"""All of Claude Code's but bypassPermissions, which would ask about nothing at all."""


class HubConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    run: Annotated[bool, Meta(description="Whether this machine runs the hub.")] = False
    url: Annotated[
        str,
        Meta(description="Where this machine's programs find the hub; empty: derived from bind."),
    ] = ""
    bind: Annotated[
        str, Meta(description="Address and port the hub listens on. Not loopback: needs TLS.")
    ] = "127.0.0.1:8420"
    tls_cert: Annotated[str, Meta(description="Certificate file (PEM) for HTTPS.")] = ""
    tls_key: Annotated[str, Meta(description="Private key file (PEM) for HTTPS.")] = ""
    pin: Annotated[
        str,
        Meta(description="SHA-256 (hex) of the hub's certificate; set by mesh join."),
    ] = ""
    hosts: Annotated[
        list[str],
        Meta(description="Host names under which the hub may be called, besides its own address."),
    ] = []
    origins: Annotated[
        list[str], Meta(description="Browser origins that may call the hub; none by default.")
    ] = []
    heartbeat_s: Annotated[PositiveSeconds, Meta(description="How often a node reports.")] = 10.0
    stale_after_s: Annotated[
        PositiveSeconds, Meta(description="A node with an older heartbeat gets no work.")
    ] = 25.0
    start_within_s: Annotated[
        PositiveSeconds, Meta(description="A lease not started after that long is taken back.")
    ] = 30.0
    lease_s: Annotated[PositiveSeconds, Meta(description="How long a lease lasts unrenewed.")] = (
        60.0
    )
    stop_after_s: Annotated[
        PositiveSeconds,
        Meta(description="A node without contact to the hub ends its work after that long."),
    ] = 1800.0
    lost_after_s: Annotated[
        PositiveSeconds,
        Meta(description="A silent attempt is given up after that long, and runs elsewhere."),
    ] = 2400.0
    wait_for_node_s: Annotated[
        float,
        Meta(
            ge=0,
            description="Interrupted work waits that long for the node that holds its session.",
        ),
    ] = 1800.0
    wait_for_sleeper_s: Annotated[
        float, Meta(ge=0, description="The same for a node that said it goes to sleep.")
    ] = 14_400.0
    turn_rounds: Annotated[
        int,
        Meta(
            ge=1,
            le=100,
            description="How many times a task may use up `agent.max_turns` before it asks you.",
        ),
    ] = 3
    max_attempts: Annotated[
        int, Meta(ge=1, le=20, description="How often a task that fails is tried.")
    ] = 2
    backup_every_s: Annotated[float, Meta(ge=0, description="Pause between backups; 0: none.")] = (
        3600.0
    )
    backup_keep: Annotated[int, Meta(ge=1, description="How many backups are kept.")] = 24
    events_keep_days: Annotated[
        float, Meta(gt=0, description="Age at which events are deleted.")
    ] = 30.0
    events_keep_rows: Annotated[
        int, Meta(ge=1000, description="Most events kept, whatever their age.")
    ] = 1_000_000


class ProjectConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: Annotated[str, Meta(description="Folder of the project's git repository.")]
    copy: Annotated[
        list[str],
        Meta(description="Untracked files copied into each task's worktree, such as .env."),
    ] = []
    base: Annotated[
        str,
        Meta(description="Branch that work begins at; empty: the one that path has checked out."),
    ] = ""
    fetch: Annotated[
        bool,
        Meta(description="Ask the remote for news of the base before a worktree is made."),
    ] = True
    setup: Annotated[
        str | list[str],
        Meta(
            description="Command run once in each new worktree, such as `npm ci`: a line for sh,"
            " or program and arguments."
        ),
    ] = ""
    setup_timeout_s: Annotated[
        PositiveSeconds, Meta(description="It is ended, and the task fails, after that long.")
    ] = 900.0
    trusted: Annotated[
        bool,
        Meta(description="Load the project's own Claude settings, hooks and CLAUDE.md."),
    ] = False
    allow: Annotated[
        list[str],
        Meta(
            description="Claude tool rules that need no question here, such as"
            " `Bash(npm test:*)`; besides `agent.allowed_tools`."
        ),
    ] = []
    permission_mode: Annotated[
        PermissionMode | None,
        Meta(description="Claude's permission mode here; null: `agent.permission_mode`."),
    ] = None
    sandbox_write: Annotated[
        list[str],
        Meta(description="Folders sandboxed commands may write here, besides the agent's list."),
    ] = []
    sandbox_network: Annotated[
        list[str],
        Meta(description="Hosts sandboxed commands may reach here, besides the agent's list."),
    ] = []


class AgentConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    run: Annotated[bool, Meta(description="Whether this machine runs an agent.")] = False
    name: Annotated[
        str,
        Meta(
            pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$",
            description="The node's name; empty: the machine's host name.",
        ),
    ] = ""
    slots: Annotated[int, Meta(ge=1, le=256, description="How many tasks run at once.")] = 2
    labels: Annotated[list[str], Meta(description="What a task's requires may ask for.")] = []
    runner: Annotated[
        str, Meta(description="What executes a task: claude, command, codex or rehearsal.")
    ] = "claude"
    claude: Annotated[
        str, Meta(description="Path of the Claude Code CLI; a bare word is looked up on the PATH.")
    ] = "claude"
    command: Annotated[
        list[str], Meta(description="Program and arguments of the command runner.")
    ] = []
    codex: Annotated[str, Meta(description="Path of the Codex CLI for the codex runner.")] = "codex"
    model: Annotated[
        str, Meta(description="Model for tasks and specialists that name none; empty: CLI's own.")
    ] = "sonnet"
    account: Annotated[
        str, Meta(description="Name of the model login; nodes that share it pause together.")
    ] = "default"
    env: Annotated[
        dict[str, str], Meta(description="Environment given to the runner, besides the basics.")
    ] = {}
    permission_mode: Annotated[
        PermissionMode,
        Meta(
            description="Claude's permission mode; what it leaves open is asked, but by `auto`"
            " (Claude's own check decides) and `dontAsk` (refused)."
        ),
    ] = "acceptEdits"
    allowed_tools: Annotated[
        list[str], Meta(description="Claude tool rules that need no question.")
    ] = []
    sandbox: Annotated[
        Literal["auto", "on", "off"],
        Meta(
            description="Claude's sandbox for shell commands: they write in the work folder only,"
            " reach listed hosts only, and need no question. `auto`: where this machine can;"
            " `on`: no work where it cannot."
        ),
    ] = "auto"
    sandbox_write: Annotated[
        list[str],
        Meta(description="Folders sandboxed commands may also write, such as a build cache."),
    ] = []
    sandbox_network: Annotated[
        list[str],
        Meta(
            description="Hosts sandboxed commands may reach, such as `packages.example.com` or"
            " `*.example.com`; `localhost`: on a Mac, this machine's own ports."
        ),
    ] = []
    setting_sources: Annotated[
        Literal["user", "user-anyway", "none"],
        Meta(
            description="Whether your own Claude settings and CLAUDE.md count. `user`: unless they"
            " allow everything; `user-anyway`: even then. A repository's never do, unless trusted."
        ),
    ] = "user"
    max_turns: Annotated[int, Meta(ge=1, description="Most turns of one attempt.")] = 100
    timeout_s: Annotated[
        PositiveSeconds, Meta(description="An attempt is ended after that long.")
    ] = 7200.0
    silence_s: Annotated[
        PositiveSeconds, Meta(description="An attempt without any output that long is ended.")
    ] = 3600.0
    park_after_s: Annotated[
        float,
        Meta(ge=0, description="A question unanswered that long frees its slot."),
    ] = 120.0
    drain_s: Annotated[
        float, Meta(ge=0, description="How long SIGTERM waits for running work.")
    ] = 600.0
    min_free_mb: Annotated[
        int, Meta(ge=0, description="Below that much free disk the node takes no work.")
    ] = 2048
    work_keep_days: Annotated[
        float, Meta(gt=0, description="Age at which finished work folders are removed.")
    ] = 14.0
    work_keep_mb: Annotated[
        int, Meta(ge=0, description="Size above which the oldest finished folders go first.")
    ] = 20_000
    keep_awake: Annotated[
        Literal["ac", "always", "never"],
        Meta(description="Keep the Mac awake while slots are busy."),
    ] = "ac"
    projects: Annotated[
        dict[str, ProjectConfig], Meta(description="Projects that `in <project> …` may name.")
    ] = {}


class BridgeConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    run: Annotated[bool, Meta(description="Whether this machine runs the bridge.")] = False
    chat_db: Annotated[str, Meta(description="Apple's message database.")] = (
        "~/Library/Messages/chat.db"
    )
    osascript: Annotated[str, Meta(description="What sends a reply.")] = "/usr/bin/osascript"
    poll_ms: Annotated[
        int, Meta(ge=20, le=60_000, description="How often chat.db is asked for changes.")
    ] = 200
    allow: Annotated[
        list[str],
        Meta(description="Phone numbers and addresses that may command the mesh. Nobody else."),
    ] = []
    self_handles: Annotated[
        list[str], Meta(description="Your own handles, if you text yourself.")
    ] = []
    freshness_s: Annotated[
        PositiveSeconds,
        Meta(description="A text dated that long before the last look is taken for a replay."),
    ] = 2700.0
    send_timeout_s: Annotated[
        PositiveSeconds, Meta(description="osascript is ended after that long.")
    ] = 60.0
    verify_s: Annotated[
        PositiveSeconds, Meta(description="How long a sent text is looked for in chat.db.")
    ] = 10.0
    max_per_minute: Annotated[
        int, Meta(ge=1, description="Most replies sent to one conversation in a minute.")
    ] = 30
    chunk_chars: Annotated[int, Meta(ge=200, description="Longest single bubble.")] = 3000


class TuiConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    theme: Annotated[str, Meta(description="Name of the colour theme.")] = "mesh-dark"
    notify: Annotated[bool, Meta(description="Desktop notification when something needs you.")] = (
        True
    )
    keys: Annotated[
        dict[str, str], Meta(description="Keys by action id, such as approve = 'y'.")
    ] = {}


class ApprovalConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    policy: Annotated[
        Literal["never", "always", "rules"],
        Meta(description="Which tasks wait for a yes; `rules` asks the two lists below."),
    ] = "rules"
    specialists: Annotated[
        list[str], Meta(description="Specialists whose tasks always wait for a yes.")
    ] = []
    patterns: Annotated[
        list[str], Meta(description="Regular expressions; a matching text waits for a yes.")
    ] = []
    deny: Annotated[
        list[str], Meta(description="Regular expressions; a matching text is refused.")
    ] = []
    high_risk: Annotated[
        tuple[str, ...],
        Meta(description="Regular expressions; a match needs its code, not a bare yes."),
    ] = (r"\brm\s+-[a-z]*r", r"\bsudo\b", r"\bgit\s+push\b.*--force", r"\bdd\s+if=")


class BreakerConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    threshold: Annotated[
        int, Meta(ge=1, description="Node faults in a row that open the breaker.")
    ] = 3
    window_s: Annotated[PositiveSeconds, Meta(description="They count within that time.")] = 600.0
    cooldown_s: Annotated[
        PositiveSeconds, Meta(description="First pause; doubles with every opening.")
    ] = 60.0
    cap_s: Annotated[PositiveSeconds, Meta(description="Longest pause.")] = 3600.0
    jitter: Annotated[
        float, Meta(ge=0, le=0.9, description="Share by which a pause varies either way.")
    ] = 0.2
    decay_s: Annotated[
        PositiveSeconds, Meta(description="Healthy time after which one opening is forgotten.")
    ] = 1800.0
    probe_s: Annotated[
        PositiveSeconds, Meta(description="A probe that has not been decided by then is freed.")
    ] = 900.0
    account_pause_s: Annotated[
        PositiveSeconds, Meta(description="Pause of an account whose reset time is not known.")
    ] = 900.0
    account_pause_cap_s: Annotated[
        PositiveSeconds, Meta(description="Longest such pause; it doubles in between.")
    ] = 7200.0
    stagger_s: Annotated[
        PositiveSeconds, Meta(description="Pause between starts after an account's reset.")
    ] = 20.0


class BudgetConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    per_task_usd: Annotated[
        float, Meta(ge=0, description="What a task may cost, all attempts together; 0: any.")
    ] = 0.0
    per_day_usd: Annotated[
        float, Meta(ge=0, description="Above it nothing new starts before a yes; 0: none.")
    ] = 0.0


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole of `mesh.toml`."""

    hub: HubConfig = HubConfig()
    agent: AgentConfig = AgentConfig()
    bridge: BridgeConfig = BridgeConfig()
    tui: TuiConfig = TuiConfig()
    approval: ApprovalConfig = ApprovalConfig()
    breaker: BreakerConfig = BreakerConfig()
    budget: BudgetConfig = BudgetConfig()

    @property
    def hub_url(self) -> str:
        """Where to reach the hub, without a trailing slash."""
        if self.hub.url:
            return self.hub.url.rstrip("/")
        scheme = "https" if self.hub.tls_cert else "http"
        return f"{scheme}://{self.hub.bind}"
