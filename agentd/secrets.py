"""What no task needs to read: other logins, other people's messages, the mesh's own keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from common.config import Config
from common.paths import MeshPaths

AT_HOME = (
    ".aws",
    ".azure",
    ".claude/.credentials.json",
    ".config/gcloud",
    ".config/gh",
    ".config/git/credentials",
    ".docker/config.json",
    ".git-credentials",
    ".gnupg",
    ".kube",
    ".netrc",
    ".password-store",
    ".pypirc",
    ".ssh",
    "Library/Application Support/1Password",
    "Library/Application Support/Firefox",
    "Library/Application Support/Google/Chrome",
    "Library/Cookies",
    "Library/Keychains",
    "Library/Mail",
    "Library/Messages",
    "Library/Safari",
)

ENVIRONMENT = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")
"""The model login: Claude Code needs it, the commands it starts do not."""


def secret_paths(env: Mapping[str, str], paths: MeshPaths, config: Config) -> tuple[str, ...]:
    """Absolute paths, whether or not they exist now."""
    home = Path(env.get("HOME") or Path.home())
    ours = (
        paths.tokens_dir,
        paths.config_file,
        paths.hub_db,
        paths.bridge_db,
        paths.backups_dir,
        paths.logs_dir,
        paths.spool_dir,
    )
    chat_db = Path(config.bridge.chat_db.replace("~", str(home), 1)).parent
    found = {str(home / name) for name in AT_HOME} | {str(path) for path in (*ours, chat_db)}
    return tuple(sorted(found - {str(home), "/"}))
