"""What `mesh` itself finds wrong; the hub's own sentences come as `common.client.HubError`."""

from __future__ import annotations

from common.errors import EXIT_CONFIG, MeshError


class CliError(MeshError):
    """A command cannot do what was asked."""

    code = "cli"


class SetUpError(CliError):
    """Something on this machine is missing or wrong and must be mended first."""

    code = "set_up"
    exit_code = EXIT_CONFIG
