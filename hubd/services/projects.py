"""The projects of the mesh: what nodes say they have, checked before a task is taken."""

from __future__ import annotations

from collections.abc import Sequence

from common.wire.tasks import SubmitTask
from hubd.domain import projects
from hubd.domain.records import NodeRecord
from hubd.errors import InvalidError
from hubd.store import nodes as node_store
from hubd.store.transaction import Tx


def project_names(nodes: Sequence[NodeRecord]) -> list[str]:
    """Every project of any node that ever registered, asleep or not."""
    return sorted({project.name for node in nodes for project in node.facts.projects or ()})


def all_say_projects(nodes: Sequence[NodeRecord]) -> bool:
    """Whether a project that is not among `project_names` is nowhere."""
    return bool(nodes) and all(node.facts.projects is not None for node in nodes)


def checked_project(tx: Tx, request: SubmitTask) -> str | None:
    """The requested project as its owner spells it. Raises InvalidError where no node that the
    task may go to could ever work in it; one that has it and is away is waited for."""
    if request.project is None:
        return None
    everyone = node_store.everyone(tx.conn)
    asked = [node for node in everyone if request.node in (None, node.name)]
    name = projects.resolve(request.project, project_names(everyone))
    if name is None and all_say_projects(everyone):
        raise InvalidError(projects.hint(request.project, project_names(everyone)))
    if name is None or not asked:
        return name or request.project  # a node may have it and not say so, or not be there yet
    _refuse_hopeless(name, everyone, asked)
    return name


def _refuse_hopeless(
    name: str, everyone: Sequence[NodeRecord], asked: Sequence[NodeRecord]
) -> None:
    having = [(node, found) for node in asked if (found := node.project(name)) is not None]
    if not having:
        where = ", ".join(node.name for node in everyone if node.project(name) is not None)
        raise InvalidError(
            f"{asked[0].name} has no project {name}; it is on {where}: name that node, or none"
        )
    if all(found.problem for _, found in having):
        node, found = having[0]
        raise InvalidError(
            f"project {name} cannot be used on {node.name}: {found.problem}. Repair it there, "
            "then send this again"
        )
