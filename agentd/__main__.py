"""mesh-agentd: the composition root of the node's daemon."""

from __future__ import annotations

import argparse
import asyncio
import functools
import hashlib
import logging
import os
import socket
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from agentd.attempt import Attempt
from agentd.collect import Collector
from agentd.contact import Contact, Standing
from agentd.daemon import Daemon, disk_refusal, end_leftovers, guarded
from agentd.environment import attempt_environment
from agentd.fitness import Fitness
from agentd.git import Git
from agentd.journal import Journal, places_in_use
from agentd.keepawake import KeepAwake, caffeinate
from agentd.means import Limits, Means
from agentd.models import model_facts
from agentd.runners.protocol import Runner, RunnerFacts
from agentd.runners.registry import make_runner
from agentd.secrets import secret_paths
from agentd.slots import Slots
from agentd.specialists import NAME, load_bench
from agentd.spool import Spool
from agentd.survey import Survey, clipped, machine_facts, runner_facts
from agentd.workspace import Workspace
from agentd.worktree import Project
from common.client import HubClient, NodeApi, find_credentials
from common.clock import SystemClock
from common.config import AgentConfig, LoadedConfig, load_config
from common.errors import EXIT_OK, ConfigError, MeshError
from common.logs import log_to_stderr
from common.paths import make_private_dir
from common.proc import single_instance, stop_on_signals
from common.version import VERSION
from common.wire.facts import NodeFacts
from common.wire.nodes import RegisterNode

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to stop; the exit code is one of `common.errors`."""
    options = _options(sys.argv[1:] if arguments is None else arguments)
    log_to_stderr("mesh-agentd")
    try:
        loaded = _configured(load_config(os.environ), options)
        lock_file = loaded.paths.lock_file(f"agentd-{loaded.config.agent.name}")
        with single_instance(lock_file, "agentd"):
            asyncio.run(_serve(loaded, os.environ))
    except MeshError as error:
        logger.error("cannot go on", extra={"error": error.message})
        return error.exit_code
    return EXIT_OK


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="mesh-agentd", description="Runs tasks of the mesh on this machine."
    )
    parser.add_argument("--name", help="the node's name, instead of agent.name")
    parser.add_argument("--slots", type=int, help="instead of agent.slots")
    parser.add_argument(
        "--drain-s", type=float, help="how long SIGTERM waits for running work; 0: not at all"
    )
    parser.add_argument("--version", action="version", version=f"mesh-agentd {VERSION}")
    return parser.parse_args(arguments)


def _configured(loaded: LoadedConfig, options: argparse.Namespace) -> LoadedConfig:
    """The configuration with what the command line overrides, and a name in any case."""
    agent = loaded.config.agent
    changes: dict[str, Any] = {"name": options.name or agent.name or default_name()}
    if options.slots is not None:
        changes["slots"] = options.slots
    if options.drain_s is not None:
        changes["drain_s"] = options.drain_s
    try:
        agent = msgspec.convert(
            msgspec.to_builtins(msgspec.structs.replace(agent, **changes)), AgentConfig
        )
    except msgspec.ValidationError as error:
        raise ConfigError(f"the command line makes no sense: {error}") from error
    config = msgspec.structs.replace(loaded.config, agent=agent)
    return LoadedConfig(config, loaded.paths, loaded.sources)


def default_name() -> str:
    """The machine's host name without its domain, as a node's name."""
    host = socket.gethostname().partition(".")[0]
    return "".join(char for char in host if char.isalnum() or char in "._-").lstrip("._-") or "node"


async def _serve(loaded: LoadedConfig, env: Mapping[str, str]) -> None:
    signals = stop_on_signals(asyncio.get_running_loop())
    agent, paths = loaded.config.agent, loaded.paths
    credentials = find_credentials(loaded, env, role="node", name=agent.name)
    state = make_private_dir(paths.state_dir / f"agentd-{agent.name}")
    runner = make_runner(
        agent,
        env,
        memory=state / "runner",
        new_id=lambda: str(uuid.uuid4()),
        secrets=secret_paths({**env, **agent.env}, paths, loaded.config),
    )
    facts = await runner.check()
    mark = _agent_mark(state)
    journal = Journal(state / "attempts")
    async with HubClient(credentials) as client, guarded(mark, journal, env):
        hub = NodeApi(client, agent.name)
        spool = Spool(state / "spool", hub)
        await end_leftovers(mark, journal, spool, runner, _runner_env(agent, env))
        daemon = _compose(loaded, env, hub, spool, journal, runner, facts, mark)
        await daemon.run(signals)


def _compose(
    loaded: LoadedConfig,
    env: Mapping[str, str],
    hub: NodeApi,
    spool: Spool,
    journal: Journal,
    runner: Runner,
    facts: RunnerFacts,
    mark: str,
) -> Daemon:
    agent, paths = loaded.config.agent, loaded.paths
    clock = SystemClock()
    standing = Standing(news=asyncio.Event(), drained=asyncio.Event())
    instance_id = str(uuid.uuid4())
    broken: dict[str, str] = {}
    specialists = load_bench(paths.config_dir / "agents", broken=broken)
    if broken:
        logger.warning("specialists cannot be used", extra={"because": broken})
    projects = {name: Project.of(name, project) for name, project in agent.projects.items()}
    workspace = Workspace(
        paths.work_dir,
        projects=projects,
        environment=env,
        setup_environment=lambda fence: attempt_environment(
            env, agent.env, fence=fence, agent_mark=mark
        ),
    )
    fitness = Fitness(runner, standing, clock, env)
    means = Means(
        node=agent.name,
        hub=hub,
        runner=runner,
        spool=spool,
        journal=journal,
        workspace=workspace,
        clock=clock,
        specialists=specialists,
        environment=env,
        configured_env=agent.env,
        agent_mark=mark,
        fitness=fitness,
        broken_specialists=broken,
        limits=Limits(
            timeout_s=agent.timeout_s,
            silence_s=agent.silence_s,
            park_after_s=agent.park_after_s,
            max_turns=agent.max_turns,
        ),
    )
    slots = Slots(
        agent.slots,
        hub=hub,
        spool=spool,
        standing=standing,
        make_attempt=functools.partial(Attempt, means=means),
        instance_id=instance_id,
    )
    registration = RegisterNode(
        slots=agent.slots,
        labels=list(agent.labels),
        # With the broken ones, so that their tasks come here and are told why.
        specialists=sorted({*specialists, *filter(NAME.fullmatch, broken)}),
        runners=[runner.name],
        account=agent.account,
        version=VERSION,
        instance_id=instance_id,
    )
    said = machine_facts() | model_facts(agent, specialists) | runner_facts(facts)
    survey = Survey(
        msgspec.convert(said, NodeFacts),
        projects=projects,
        work_dir=paths.work_dir,
        git=functools.partial(Git.found, env),
        clock=clock,
        changed=standing.news.set,
    )
    contact = Contact(
        hub,
        slots,
        standing,
        clock,
        registration=registration,
        check=lambda: (
            fitness.refusal or facts.refusal or disk_refusal(paths.work_dir, agent.min_free_mb)
        ),
        facts=lambda: survey.facts,
        self_test=functools.partial(_self_test, runner, survey),
    )
    collector = Collector(
        root=workspace.root,
        clock=clock,
        keep_days=agent.work_keep_days,
        keep_mb=agent.work_keep_mb,
        in_use=functools.partial(places_in_use, paths.state_dir),
        git=functools.partial(Git.found, env),
        forget_missing=workspace.forget_missing,
        tidy=workspace.tidy,
    )
    return Daemon(
        contact=contact,
        fitness=fitness,
        collector=collector,
        survey=survey,
        keep_awake=KeepAwake(caffeinate(agent.keep_awake), busy=lambda: slots.busy),
        slots=slots,
        slot_count=agent.slots,
        spool=spool,
        standing=standing,
        drain_s=agent.drain_s,
    )


def _runner_env(agent: AgentConfig, env: Mapping[str, str]) -> dict[str, str]:
    """Where a runner keeps its records, as its attempts see it."""
    return attempt_environment(env, agent.env, fence=0, agent_mark="")


async def _self_test(runner: Runner, survey: Survey) -> None:
    """What an open breaker wants to know: whether the runner works here."""
    try:
        facts = await runner.check()
    except MeshError as error:
        survey.update(self_test="failed", self_test_error=clipped(error.message))
    else:
        survey.update(**runner_facts(facts), self_test="ok", self_test_error=None)


def _agent_mark(state: Path) -> str:
    """The same for every start of this agent, different for every other agent."""
    return hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:20]


if __name__ == "__main__":
    sys.exit(main())
