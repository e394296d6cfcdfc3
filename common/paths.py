"""Where a mesh keeps its files, and the rule that nobody else may read them."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from common.errors import ConfigError


@dataclass(frozen=True, slots=True)
class MeshPaths:
    """The two folders of one mesh; with `MESH_HOME` set both are that folder."""

    config_dir: Path
    state_dir: Path

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> MeshPaths:
        """Folders by `MESH_HOME`, else XDG (also on macOS, where dotfiles are at home)."""
        if mesh_home := env.get("MESH_HOME"):
            folder = Path(mesh_home).expanduser().absolute()
            return cls(config_dir=folder, state_dir=folder)
        home = Path(env.get("HOME") or Path.home())
        config = Path(env.get("XDG_CONFIG_HOME") or home / ".config")
        state = Path(env.get("XDG_STATE_HOME") or home / ".local" / "state")
        return cls(config_dir=config / "mesh", state_dir=state / "mesh")

    @property
    def config_file(self) -> Path:
        return self.config_dir / "mesh.toml"

    @property
    def hub_db(self) -> Path:
        return self.state_dir / "hub.db"

    @property
    def bridge_db(self) -> Path:
        return self.state_dir / "bridge.db"

    @property
    def logs_dir(self) -> Path:
        return self.state_dir / "logs"

    @property
    def backups_dir(self) -> Path:
        return self.state_dir / "backups"

    @property
    def tokens_dir(self) -> Path:
        return self.state_dir / "tokens"

    @property
    def work_dir(self) -> Path:
        return self.state_dir / "work"

    @property
    def spool_dir(self) -> Path:
        return self.state_dir / "spool"

    @property
    def pinned_cert_file(self) -> Path:
        """The hub's certificate, when it is pinned (`hub.pin`) rather than publicly signed."""
        return self.config_dir / "hub-cert.pem"

    def token_file(self, role: str, name: str | None = None) -> Path:
        """`tokens/operator.token`, `tokens/node-Rex.token`."""
        return self.tokens_dir / (f"{role}-{name}.token" if name else f"{role}.token")

    def lock_file(self, daemon: str) -> Path:
        """Held with flock for as long as `daemon` runs; its text is the daemon's pid."""
        return self.state_dir / f"{daemon}.lock"


def make_private_dir(folder: Path) -> Path:
    """Create `folder` with mode 0700, or refuse one that others may enter."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    refuse_if_shared(folder)
    return folder


def refuse_if_shared(path: Path) -> None:
    """Raise ConfigError when `path` belongs to another user or others have rights on it."""
    info = path.stat()
    if info.st_uid != os.getuid():
        raise ConfigError(
            f"{path} belongs to another user. Move it away or run: chown $USER {path}"
        )
    if info.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mode = "700" if path.is_dir() else "600"
        raise ConfigError(f"{path} can be read by other users. Run: chmod {mode} {path}")


def write_private_file(path: Path, content: str) -> None:
    """Write `content` with mode 0600, whole or not at all; a failure leaves nothing behind."""
    # A name of its own: several programs may write the same file at once.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Without this a power cut may take back the rename, and with it the whole write."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_private_file(path: Path) -> str:
    """The text of a file that only its owner may read; ConfigError says what is wrong."""
    try:
        refuse_if_shared(path)
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist. Run: mesh init") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
