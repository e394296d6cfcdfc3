"""One table of keys, and themes that can be read."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from itertools import product

import pytest
from textual.color import Color

from common.wire.nodes import Breaker, BreakerState
from common.wire.tasks import TaskState
from tests.unit.tui.records import NOW, approval, loaded, node, task
from tui import themes
from tui.errors import KeyConfigError
from tui.keys import BY_ID, EVERYWHERE, GROUPS, LIST, TABLE, actions_for, keymap, shown_keys
from tui.state.cells import Piece, Role
from tui.state.needs import needs
from tui.terminal import CLEAR, Terminal, Traits, notification, progress
from tui.widgets.wrapping import wrap_cell

PLACES = {place for action in TABLE for place in action.where} - {EVERYWHERE, LIST}


def test_no_key_means_two_things_on_one_screen() -> None:
    for place in PLACES:
        keys = [
            key for action in actions_for(place, EVERYWHERE, LIST) for key in action.keys.split(",")
        ]
        assert [key for key, times in Counter(keys).items() if times > 1] == []


def test_every_action_has_an_id_help_and_a_group() -> None:
    assert len(BY_ID) == len(TABLE)
    assert all(action.help and action.group in GROUPS for action in TABLE)


def test_a_remapped_key_is_shown_where_the_old_one_was() -> None:
    assert keymap({"approve": "ctrl+y"}) == {"approve": "ctrl+y"}
    assert shown_keys(BY_ID["approve"], {"approve": "ctrl+y"}) == "^y"
    assert shown_keys(BY_ID["palette"], {}, all_=True) == ": ^p"


@pytest.mark.parametrize(
    ("remapped", "word"),
    [({"aprove": "y"}, "did you mean approve"), ({"approve": "n"}, "both"),
     ({"approve": "j"}, "both"), ({"approve": ""}, "needs a key")],
)  # fmt: skip
def test_a_remapping_that_cannot_be_is_refused(remapped: dict[str, str], word: str) -> None:
    with pytest.raises(KeyConfigError, match=word):
        keymap(remapped)


def contrast(one: str, other: str) -> float:
    """As WCAG 2 defines it."""

    def luminance(text: str) -> float:
        parts = [
            c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4
            for c in Color.parse(text).normalized
        ]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", list(themes.OWN.values()), ids=lambda theme: theme.name)
def test_every_role_can_be_read_on_every_background(theme: themes.Theme) -> None:
    backgrounds = [theme.background, theme.panel, theme.variables["line-cursor"]]
    for role, background in product(Role, backgrounds):
        if role is not Role.BADGE:
            least = 3.0 if role is Role.FAINT else 4.5
            ratio = contrast(theme.variables[f"role-{role}"], background or "")
            assert ratio >= least, (role, background, round(ratio, 2))


def test_the_ansi_themes_know_every_role() -> None:
    assert set(themes.ANSI_ROLES) >= {f"role-{role}" for role in Role if role is not Role.BADGE}


def test_wrapping_keeps_every_word_within_the_width() -> None:
    line = (Piece("the quick brown fox ", Role.PLAIN), Piece("日本語のテキスト", Role.BAD))
    wrapped = wrap_cell(line, 11)
    assert ["".join(p.text for p in each) for each in wrapped] == [
        "the quick", "brown fox", "日本語のテ", "キスト",
    ]  # fmt: skip


def test_what_stands_beside_a_name_hangs_under_itself() -> None:
    line = (Piece("node       ", Role.FAINT), Piece("alpha beta gamma", Role.PLAIN))
    assert ["".join(p.text for p in each) for each in wrap_cell(line, 22)] == [
        "node       alpha beta", "           gamma",
    ]  # fmt: skip


def test_notifications_go_only_to_terminals_that_show_them() -> None:
    assert Traits.of({"TERM_PROGRAM": "ghostty"}) == Traits(notifies=True, progresses=True)
    assert Traits.of({"TERM_PROGRAM": "ghostty", "TMUX": "x"}) == Traits()
    assert Traits.of({"TERM_PROGRAM": "Apple_Terminal"}) == Traits()


def test_a_notification_cannot_carry_a_sequence_of_its_own() -> None:
    assert notification("a\x07b\x1b]52;c;x\x07;c") == "\x1b]9;a\ufffdb,c\x07"


def test_each_new_need_is_notified_once_when_nobody_looks() -> None:
    sent: list[str] = []
    terminal = Terminal(Traits(True, True), True, sent.append)
    store = loaded(approvals=[approval(1)])
    terminal.show(store, needs(store, NOW), focused=False)
    assert not any("]9;mesh" in each for each in sent)
    more = loaded(approvals=[approval(1), approval(2)])
    for _ in range(2):
        terminal.show(more, needs(more, NOW), focused=False)
    assert [each for each in sent if "]9;mesh" in each] == ["\x1b]9;mesh: K2 #2 s\x07"]
    third = loaded(approvals=[approval(1), approval(2), approval(3)])
    terminal.show(third, needs(third, NOW), focused=True)
    assert sum("]9;mesh" in each for each in sent) == 1


def test_progress_is_the_share_of_busy_slots_and_red_when_something_is_broken() -> None:
    busy = task(1, TaskState.RUNNING, node="Rex")
    tripped = node("Archon", slots=1, breaker=Breaker(state=BreakerState.OPEN))
    assert progress(loaded(nodes=[node("Rex")], tasks=[busy])) == "\x1b]9;4;1;33\x07"
    assert progress(loaded(nodes=[node("Rex"), tripped], tasks=[busy])) == "\x1b]9;4;2;25\x07"
    assert progress(loaded(nodes=[node("Rex")])) == CLEAR


@pytest.mark.parametrize("module", ["tui.state.store", "tui.state.header", "tui.state.task_page"])
def test_the_pure_state_loads_no_framework(module: str) -> None:
    code = f"import {module}, sys; print({{'textual','rich','httpx'}} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "set()"


def test_the_app_is_built_before_the_http_client_is_loaded() -> None:
    code = "import tui.app, tui.hub, sys; print('httpx' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False"
