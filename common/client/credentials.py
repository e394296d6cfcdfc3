"""Which hub to talk to and with which token: environment first, then this machine's files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from common.config.load import LoadedConfig
from common.errors import ConfigError
from common.paths import read_private_file


class Secret:
    """A token that does not show itself in tracebacks, logs or reprs."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself: for an Authorization header and nothing else."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Credentials:
    """`ca_file`: the hub's own certificate, when it is pinned rather than publicly signed."""

    url: str
    token: Secret
    ca_file: Path | None = None


def find_credentials(
    loaded: LoadedConfig, env: Mapping[str, str], *, role: str, name: str | None = None
) -> Credentials:
    """`MESH_HUB_URL`, `MESH_TOKEN` or `MESH_TOKEN_FILE`, else `hub.url` and the token file of
    `role`. ConfigError says where a token was looked for."""
    url = (env.get("MESH_HUB_URL") or loaded.config.hub_url).rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"the hub's address {url!r} must begin with http:// or https://")
    token = _find_token(loaded, env, role, name)
    return Credentials(url=url, token=token, ca_file=trusted_certificate(loaded))


def trusted_certificate(loaded: LoadedConfig) -> Path | None:
    """The certificate file to trust instead of the system's authorities: the one pinned by
    `mesh join`, or on the hub's own machine the hub's; None when there is neither."""
    hub = loaded.config.hub
    if hub.pin:
        return loaded.paths.pinned_cert_file
    if hub.tls_cert and not hub.url:
        return Path(hub.tls_cert).expanduser()
    return None


def _find_token(
    loaded: LoadedConfig, env: Mapping[str, str], role: str, name: str | None
) -> Secret:
    if token := env.get("MESH_TOKEN", "").strip():
        return Secret(token)
    if token_file := env.get("MESH_TOKEN_FILE"):
        return Secret(read_private_file(Path(token_file).expanduser()).strip())
    file = loaded.paths.token_file(role, name)
    if role == "operator" and not file.exists() and loaded.paths.token_file("viewer").exists():
        file = loaded.paths.token_file("viewer")  # the hub says what a viewer may not do
    if not file.exists():
        option = f" --name {name}" if name else ""
        raise ConfigError(
            f"no token: {file} does not exist. "
            f"On the hub run: mesh token new --role {role}{option}, and put its output "
            f"in that file (mode 600) or in MESH_TOKEN"
        )
    token = read_private_file(file).strip()
    if not token:
        raise ConfigError(f"{file} is empty. Put a token in it: mesh token new --role {role}")
    return Secret(token)
