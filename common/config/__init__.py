"""One `mesh.toml` for every program: its schema, and how file and environment make its values."""

from common.config.load import LoadedConfig, Origin, load_config
from common.config.schema import (
    AgentConfig,
    ApprovalConfig,
    BreakerConfig,
    BridgeConfig,
    BudgetConfig,
    Config,
    HubConfig,
    ProjectConfig,
    TuiConfig,
)

__all__ = [
    "AgentConfig",
    "ApprovalConfig",
    "BreakerConfig",
    "BridgeConfig",
    "BudgetConfig",
    "Config",
    "HubConfig",
    "LoadedConfig",
    "Origin",
    "ProjectConfig",
    "TuiConfig",
    "load_config",
]
