"""The bench as files: who is on it, what each may use, and that each brief is its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from agentd.errors import SpecialistError
from agentd.specialists import load_bench

BENCH = Path(__file__).parents[3] / "agentd" / "bench"

NAMES = frozenset(
    {
        "accessibility-auditor",
        "api-designer",
        "backend-engineer",
        "code-reviewer",
        "data-analyst",
        "database-engineer",
        "debugger",
        "frontend-engineer",
        "incident-responder",
        "infrastructure-engineer",
        "mobile-engineer",
        "performance-engineer",
        "refactorer",
        "release-engineer",
        "researcher",
        "security-auditor",
        "technical-writer",
        "test-engineer",
        "ui-ux-designer",
    }
)

# What Claude Code 2.1.330 accepts in an agent's list and then really offers.
CLAUDE_TOOLS = frozenset(
    {"Bash", "Edit", "Glob", "Grep", "NotebookEdit", "Read", "WebFetch", "WebSearch", "Write"}
)
MODELS = frozenset({"opus", "sonnet", "haiku"})
EDITING = frozenset({"Edit", "Write", "NotebookEdit"})
HANDS_OFF = ("accessibility-auditor", "code-reviewer", "researcher", "security-auditor")
WITHOUT_SHELL = frozenset(
    {
        "accessibility-auditor",
        "api-designer",
        "researcher",
        "security-auditor",
        "technical-writer",
        "ui-ux-designer",
    }
)


@dataclass(frozen=True)
class AgentFile:
    fields: dict[str, Any]
    body: str

    @property
    def tools(self) -> list[str]:
        return [tool.strip() for tool in self.fields["tools"].split(",")]

    @property
    def prose(self) -> set[str]:
        """The lines that say something: no headings, no last words of a paragraph."""
        lines = (line.strip() for line in self.body.splitlines())
        return {line for line in lines if len(line.split()) > 4 and not line.startswith("#")}

    def runs_of(self, words: int) -> set[tuple[str, ...]]:
        """Every run of that many words, whatever the line breaks."""
        text = re.findall(r"[a-z0-9']+", self.body.lower())
        return {tuple(text[at : at + words]) for at in range(len(text) - words + 1)}


def read(name: str) -> AgentFile:
    opening, frontmatter, body = (BENCH / f"{name}.md").read_text("utf-8").split("---\n", 2)
    assert opening == ""
    return AgentFile(yaml.safe_load(frontmatter), body)


every_specialist = pytest.mark.parametrize("name", sorted(NAMES))


def test_the_bench_is_exactly_these_nineteen() -> None:
    assert len(NAMES) == 19
    assert {path.name for path in BENCH.iterdir()} == {f"{name}.md" for name in NAMES}


@every_specialist
def test_a_file_is_named_for_its_specialist_and_says_when_to_call_it(name: str) -> None:
    fields = read(name).fields
    assert fields["name"] == name
    assert 0 < len(fields["description"].strip()) <= 300
    assert fields["model"] in MODELS
    assert set(fields) <= {"name", "description", "tools", "model", "permissionMode"}


@every_specialist
def test_tools_are_known_to_claude_code_and_named_once(name: str) -> None:
    tools = read(name).tools
    assert set(tools) <= CLAUDE_TOOLS
    assert len(tools) == len(set(tools))


@every_specialist
def test_search_tools_are_listed_only_where_the_cli_would_offer_them(name: str) -> None:
    # The CLI drops Grep and Glob as soon as an agent has Bash, where grep and find serve instead.
    tools = set(read(name).tools)
    assert tools.isdisjoint({"Grep", "Glob"}) if "Bash" in tools else {"Grep", "Glob"} <= tools


@pytest.mark.parametrize("name", HANDS_OFF)
def test_who_judges_holds_no_editing_tool(name: str) -> None:
    assert EDITING.isdisjoint(read(name).tools)


def test_a_shell_is_given_only_where_the_trade_has_to_run_something() -> None:
    assert {name for name in NAMES if "Bash" not in read(name).tools} == WITHOUT_SHELL


def test_the_web_is_open_to_the_researcher_alone() -> None:
    online = {name for name in NAMES if not {"WebFetch", "WebSearch"}.isdisjoint(read(name).tools)}
    assert online == {"researcher"}


@every_specialist
def test_a_shell_without_an_editor_asks_before_it_changes_anything(name: str) -> None:
    # In acceptEdits mode the shell's own touch, mv and rm would run unasked.
    file = read(name)
    asks = "Bash" in file.tools and EDITING.isdisjoint(file.tools)
    assert file.fields.get("permissionMode") == ("default" if asks else None)


@every_specialist
def test_a_brief_is_written_out(name: str) -> None:
    body = read(name).body
    assert 60 <= len(body.strip().splitlines()) <= 120
    assert max(map(len, body.splitlines())) <= 100
    assert not re.search(r"\b(TODO|FIXME|XXX|TBD|lorem)\b", body)


@every_specialist
def test_a_brief_sets_the_common_limits_in_its_own_words(name: str) -> None:
    body = read(name).body.lower()
    for limit in ("folder", "assum", r"secret|credential|token|\bkeys?\b", "instruction|order"):
        assert re.search(limit, body), f"{name} does not speak of: {limit}"


@every_specialist
def test_the_sample_first_line_keeps_to_the_rule_it_illustrates(name: str) -> None:
    body = read(name).body
    samples = re.findall(r"Example: (.+?\.)\n", body, re.DOTALL)
    assert len(samples) == 1
    sample = " ".join(samples[0].split())
    assert len(sample) <= 150
    assert not re.search(r"[*`#_\[\]]", sample)
    assert re.search(r"First line.{0,80}\b150\b", body, re.DOTALL)


@pytest.mark.parametrize(("one", "other"), list(combinations(sorted(NAMES), 2)))
def test_no_two_briefs_are_cut_from_the_same_cloth(one: str, other: str) -> None:
    first, second = read(one), read(other)
    assert first.prose.isdisjoint(second.prose)
    assert len(first.runs_of(8) & second.runs_of(8)) <= 3


def test_one_bad_file_of_the_owners_costs_its_own_specialist_only(tmp_path: Path) -> None:
    """It kept the whole agent from starting."""
    (tmp_path / "critic.md").write_text("no frontmatter")
    (tmp_path / "code-reviewer.md").write_text("---\nname: [\n---\n")
    (tmp_path / "mine.md").write_text("---\nname: mine\ndescription: d\n---\nDo it.\n")
    broken: dict[str, str] = {}
    members = load_bench(tmp_path, broken=broken)
    assert "mine" in members
    assert "code-reviewer" not in members, "ours would not be what was meant"
    assert set(broken) == {"critic", "code-reviewer"}
    assert "begin it with '---'" in broken["critic"]
    with pytest.raises(SpecialistError):
        load_bench(tmp_path)
