"""What every command gets: the environment, the configuration when it asks, and the hub."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import click

from common.clock import Clock, SystemClock
from common.config import LoadedConfig, load_config
from common.paths import MeshPaths

if TYPE_CHECKING:
    from common.client import Credentials, OperatorApi

T = TypeVar("T")


def new_uuid() -> str:
    return str(uuid.uuid4())


@dataclass
class Session:
    """One run of `mesh`."""

    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    clock: Clock = field(default_factory=SystemClock)
    new_id: Callable[[], str] = new_uuid

    @property
    def paths(self) -> MeshPaths:
        """Known also when the configuration is broken."""
        return MeshPaths.from_env(self.env)

    @cached_property
    def loaded(self) -> LoadedConfig:
        """Raises ConfigError."""
        return load_config(self.env)

    def credentials(self) -> Credentials:
        """The operator's; ConfigError says where a token was looked for."""
        # The HTTP client costs 130 ms to load, which `mesh up` must not pay.
        from common.client import find_credentials

        return find_credentials(self.loaded, self.env, role="operator")

    def ask_hub(
        self, question: Callable[[OperatorApi], Awaitable[T]], *, timeout_s: float = 10.0
    ) -> T:
        """Run `question` with the operator's client and return its answer."""
        from common.client import HubClient, OperatorApi

        async def asked() -> T:
            async with HubClient(self.credentials(), timeout_s=timeout_s) as client:
                return await question(OperatorApi(client))

        return asyncio.run(asked())


pass_session = click.make_pass_decorator(Session, ensure=True)
