"""What a run is told first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentd.opening import Situation, opening
from agentd.runners.claude_transcript import transcript_holds
from common.wire.nodes import Earlier

LOST = Earlier(node="rex", outcome="lost")


def situation(
    *, heard: bool = False, continues: bool = False, kept: bool = False, here: bool = True
) -> Situation:
    return Situation(heard=heard, continues=continues, kept=kept, here=here)


def test_a_first_run_and_a_follow_up_get_the_text_as_it_is() -> None:
    assert opening("build it", None, situation()) == "build it"
    assert opening("now in blue", None, situation(continues=True, kept=True)) == "now in blue"


@pytest.mark.parametrize("outcome", ["lost", "interrupted", "killed", "node_fault", "task_error"])
def test_a_session_that_has_the_task_is_told_to_continue_and_never_gets_it_again(
    outcome: str,
) -> None:
    earlier = Earlier(node="rex", outcome=outcome, error="it broke")
    said = opening("build it", earlier, situation(heard=True, continues=True, kept=True))
    assert said.startswith("You were interrupted")
    assert "Continue with the task" in said
    assert "build it" not in said


def test_a_session_that_never_got_the_task_gets_it_once() -> None:
    said = opening("build it", LOST, situation(continues=True, kept=True))
    assert said.startswith("build it\n")
    assert said.count("build it") == 1


def test_a_run_whose_session_is_gone_is_told_so_and_shown_what_is_left() -> None:
    said = opening("build it", LOST, situation(kept=True))
    assert said.startswith("build it\n")
    assert "look at what is done already" in said
    assert "gone" in opening("build it", LOST, situation())


def test_a_run_on_another_machine_is_told_where_the_half_done_work_is() -> None:
    said = opening("build it", LOST, situation(here=False))
    assert "is on rex only" in said


def test_a_session_whose_folder_is_gone_is_told_that_it_is_in_another() -> None:
    said = opening("build it", LOST, situation(heard=True, continues=True))
    assert "folder is gone" in said


def test_the_transcript_says_whether_a_message_had_arrived(tmp_path: Path) -> None:
    session, heard = "47ea9133-b5e0-4ec6-bab5-1dbf7b221edb", "aa84eb41-ce80-43fa-ba79-565740621cba"
    environment = {"HOME": str(tmp_path)}
    assert transcript_holds(session, heard, environment) is None
    folder = tmp_path / ".claude" / "projects" / "-w"
    folder.mkdir(parents=True)
    lines = [{"type": "queue-operation"}, {"type": "user", "uuid": heard}]
    (folder / f"{session}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert transcript_holds(session, heard, environment) is True
    assert transcript_holds(session, session, environment) is False
    assert transcript_holds("*", heard, environment) is None
    moved = {"HOME": "/nowhere", "CLAUDE_CONFIG_DIR": str(tmp_path / ".claude")}
    assert transcript_holds(session, heard, moved) is True
