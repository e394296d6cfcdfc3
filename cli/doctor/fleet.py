"""`--fleet`: the same question to every node, answered by what it reports to the hub."""

from __future__ import annotations

from collections.abc import Iterator

from cli.doctor.checks.machine import dotted
from cli.doctor.checks.mesh import why_not
from cli.doctor.checks.tools import MIN_CLAUDE
from cli.doctor.finding import Finding, Mark, Verdict, fail, ok, warn
from common.version import VERSION
from common.wire.facts import ProjectFacts
from common.wire.nodes import BreakerState, NodeStatus


def examine_nodes(nodes: list[NodeStatus], hub_version: str = VERSION) -> list[Finding]:
    """Every node's findings, worst first within a node."""
    order = list(Mark)
    return [
        Finding(name, verdict.mark, verdict.fact, verdict.remedy, node.name)
        for node in sorted(nodes, key=lambda node: node.name)
        for name, verdict in sorted(
            _of(node, hub_version), key=lambda item: -order.index(item[1].mark)
        )
    ]


def _of(node: NodeStatus, hub_version: str) -> Iterator[tuple[str, Verdict]]:
    yield "node", _presence(node)
    yield "version", _version(node, hub_version)
    yield "breakers", _breaker(node)
    if node.facts.claude is not None:
        yield "claude", _claude(node.facts.claude)
    for project in node.facts.projects or ():
        if project.problem is not None:
            yield "project", _project(project)
    if node.facts.self_test is not None:
        yield "self-test", _self_test(node)


def _presence(node: NodeStatus) -> Verdict:
    if not node.online:
        seen = node.heartbeat_age_s
        ago = "never reported" if seen is None else f"last reported {seen / 60:.0f} min ago"
        return fail(f"{node.name} {ago}", f"on {node.name}: mesh up; mesh doctor")
    if node.draining:
        return warn(f"{node.name} drains: it takes no work", f"mesh undrain {node.name}")
    if not node.accepting:
        return warn(
            f"{node.name} takes no work{why_not(node)}",
            f"on {node.name}: mesh doctor; mesh logs agentd",
        )
    return ok(f"{node.name} is there, {node.busy} of {node.slots} slots busy")


def _version(node: NodeStatus, hub_version: str) -> Verdict:
    if node.version != hub_version:
        return warn(
            f"{node.name} is {node.version or 'of no known version'}, the hub {hub_version}",
            f"on {node.name}: git pull && make .venv/.ready; mesh restart agentd",
        )
    return ok(f"{node.version}, as the hub")


def _breaker(node: NodeStatus) -> Verdict:
    if node.breaker.state is BreakerState.CLOSED:
        return ok("closed")
    reason = f": {node.breaker.reason}" if node.breaker.reason else ""
    return warn(
        f"{node.name} failed too often and gets no work{reason}",
        f"on {node.name}: mesh logs agentd; when it is mended: mesh reset {node.name}",
    )


def _claude(text: str) -> Verdict:
    parts = text.split()[0].split(".") if text.split() else []
    version = tuple(int(part) for part in parts if part.isdecimal())
    if version < MIN_CLAUDE:
        return fail(f"Claude Code {text}; {dotted(MIN_CLAUDE)} or newer is needed", "claude update")
    return ok(f"Claude Code {text}")


def _project(project: ProjectFacts) -> Verdict:
    return warn(
        f"project {project.name}: {project.problem}", "${EDITOR:-nano} mesh.toml (agent.projects)"
    )


def _self_test(node: NodeStatus) -> Verdict:
    if node.facts.self_test == "ok":
        return ok("its last self-test went well")
    error = node.facts.self_test_error or "no reason given"
    return fail(f"its last self-test failed: {error}", f"on {node.name}: mesh doctor")
