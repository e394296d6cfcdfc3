"""What a task may do without a question, as its project's owner configured it."""

from __future__ import annotations

from dataclasses import dataclass

from common.config import ProjectConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """Adds to what `[agent]` allows; `permission_mode` None leaves the agent's."""

    allow: tuple[str, ...] = ()
    permission_mode: str | None = None
    write: tuple[str, ...] = ()
    network: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: ProjectConfig) -> Leave:
        return cls(
            allow=tuple(config.allow),
            permission_mode=config.permission_mode,
            write=tuple(config.sandbox_write),
            network=tuple(config.sandbox_network),
        )


NO_LEAVE = Leave()
