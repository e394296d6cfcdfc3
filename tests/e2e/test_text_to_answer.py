"""A row in chat.db becomes a task, runs, and its answer leaves through osascript."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.machines import OWNER, Mesh, mesh_of_processes, until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def mesh(tmp_path: Path, clean_env: dict[str, str]) -> Iterator[Mesh]:
    folder = tmp_path / "m"
    folder.mkdir(mode=0o700)
    with mesh_of_processes(folder, clean_env) as running:
        running.start_messages()
        running.start_hub()
        yield running


def osascript_calls(mesh: Mesh) -> list[list[str]]:
    log = mesh.messages_dir / "osascript.jsonl"
    return [json.loads(line)["argv"] for line in log.read_text().splitlines()]


def outbound_states(mesh: Mesh) -> set[str]:
    messages = mesh.get("/v1/conversation")["messages"]
    return {message["state"] for message in messages if message["direction"] == "out"}


def confirmed(mesh: Mesh) -> None:
    """Wait until the bridge saw its own rows: a bare yes needs a question known to be asked."""
    until(lambda: outbound_states(mesh) == {"sent"}, "every reply to be confirmed")


def test_a_text_is_run_by_the_node_with_most_free_slots_and_answered_in_its_thread(
    mesh: Mesh,
) -> None:
    mesh.start_agent("Rex", 2, MESH_AGENT__RUNNER="rehearsal")
    mesh.start_agent("Archon", 5, MESH_AGENT__RUNNER="rehearsal")
    mesh.start_bridge()
    mesh.text("what is new in [/foo] & `bar`?")
    answer = mesh.reply("#1 done")
    task = mesh.get("/v1/tasks/1")
    assert task["state"] == "succeeded"
    assert task["node"] == "Archon"
    assert task["prompt"] == "what is new in [/foo] & `bar`?"
    assert task["conversation"].endswith(OWNER)
    assert "Archon" in answer
    assert all(OWNER in call[-1] for call in osascript_calls(mesh))
    confirmed(mesh)


def test_a_gated_text_runs_only_after_the_owners_yes(mesh: Mesh) -> None:
    mesh.start_agent("Rex", 2, MESH_AGENT__RUNNER="rehearsal")
    mesh.start_bridge()
    mesh.text("ask tidy the attic")
    mesh.reply("#1")
    assert mesh.get("/v1/tasks/1")["state"] == "waiting_approval"
    assert mesh.get("/v1/tasks/1")["attempts"] == []
    confirmed(mesh)
    mesh.text("y")
    mesh.reply("#1 done")
    (approval,) = mesh.get("/v1/tasks/1")["approvals"]
    assert approval["state"] == "approved"
    assert OWNER in approval["answered_by"]


def test_a_no_denies_and_nothing_ever_runs(mesh: Mesh) -> None:
    mesh.start_agent("Rex", 2, MESH_AGENT__RUNNER="rehearsal")
    mesh.start_bridge()
    mesh.text("ask burn the attic")
    mesh.reply("#1")
    confirmed(mesh)
    mesh.text("n")
    until(lambda: mesh.get("/v1/tasks/1")["state"] == "denied", "the denial")
    assert mesh.get("/v1/tasks/1")["attempts"] == []


def test_a_stranger_gets_silence_and_no_task(mesh: Mesh) -> None:
    mesh.start_agent("Rex", 2, MESH_AGENT__RUNNER="rehearsal")
    mesh.start_bridge()
    mesh._messages("text", "--sender", "+15555550199", "delete everything")
    mesh.text("status")
    until(mesh.replies, "the owner's answer")
    assert mesh.get("/v1/tasks")["tasks"] == []
    assert not any("0199" in argument for call in osascript_calls(mesh) for argument in call)


def test_texts_sent_while_the_hub_was_away_arrive_once_and_in_order(mesh: Mesh) -> None:
    mesh.start_agent("Rex", 2, MESH_AGENT__RUNNER="rehearsal")
    mesh.start_bridge()
    mesh.programs["hub"].stop()
    for n in (1, 2, 3):
        mesh.text(f"errand number {n}")
    mesh.start_hub()
    for n in (1, 2, 3):
        mesh.reply(f"#{n} done")
    tasks = mesh.get("/v1/tasks")["tasks"]
    assert [task["prompt"] for task in reversed(tasks)] == [f"errand number {n}" for n in (1, 2, 3)]
