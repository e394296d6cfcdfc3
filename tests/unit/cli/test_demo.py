"""The demo's pure parts."""

from __future__ import annotations

import re

from cli.demo.phone import Bubble
from cli.demo.script import DECIDED, DONE, conversation, still_expected
from cli.demo.setting import NODES, Setting
from cli.demo.transcript import render


def test_each_reply_answers_one_expectation_only() -> None:
    assert still_expected((DONE, DONE), ["#1 done"]) == [DONE]
    assert still_expected((DECIDED, DONE), ["#3 done", "#3 approved (K7)."]) == []


def test_an_acknowledgement_is_not_an_answer() -> None:
    line = conversation(rehearsed=True)[0]

    assert still_expected(line.expects, ["#1 taken: Archon has room.", "#1 done · Archon\nhello"])
    assert not still_expected(line.expects, ["#1 done · Archon\nrehearsal: no model ran. Hello"])


def test_the_conversation_holds_every_kind_of_text() -> None:
    texts = [line.text for line in conversation(rehearsed=False)]

    assert texts[1].startswith("@researcher ")
    assert texts[2].startswith("ask ")
    assert texts[3:] == ["y", "status", "cost"]


def test_the_two_sides_of_the_thread_stand_apart() -> None:
    ours = render(Bubble(1, "g", True, "hello", 0.0))
    theirs = render(Bubble(2, "g", False, "a" * 100 + "\nsecond\x1b[2J", 0.55))

    assert re.match(r"\d\d:\d\d:\d\d\.0 {20,}you  ▸ hello$", ours)
    lines = theirs.splitlines()
    assert re.match(r"\d\d:\d\d:\d\d\.5  mesh ◂ a+$", lines[0])
    assert lines[-1].strip() == "second[2J"
    assert all(len(line) <= 80 for line in lines)


def test_nothing_of_the_persons_own_mesh_reaches_the_demo(tmp_path: object) -> None:
    setting = Setting(home=tmp_path, port=1, claude=None)  # type: ignore[arg-type]
    own = {
        "PATH": "/bin",
        "HOME": "/home/a",
        "MESH_HOME": "/home/a/mesh",
        "MESH_TOKEN": "secret",
        "MESH_HUB__BIND": "0.0.0.0:1",
        "ANTHROPIC_API_KEY": "secret",
        "TERM_PROGRAM": "ghostty",
    }

    for name in NODES:
        assert setting.node_environment(own, name) == {
            "PATH": "/bin",
            "HOME": "/home/a",
            "MESH_HOME": str(tmp_path),
            "MESH_AGENT__NAME": name,
            "MESH_AGENT__SLOTS": str(NODES[name]),
        }
    assert setting.environment(own, screen=True)["TERM_PROGRAM"] == "ghostty"
