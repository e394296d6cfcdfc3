"""What can go wrong in the control centre itself."""

from __future__ import annotations

from common.errors import ConfigError, MeshError


class TuiError(MeshError):
    """The control centre cannot do what it was asked."""

    code = "tui"


class KeyConfigError(TuiError, ConfigError):
    """`[tui.keys]` names an action or a key that cannot be."""

    code = "tui_keys"
