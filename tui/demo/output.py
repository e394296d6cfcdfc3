"""What a simulated attempt says while it runs."""

from __future__ import annotations

from datetime import datetime, timedelta

from common.wire.nodes import OutputKind, OutputLine
from common.wire.tasks import LIVE_STATES, Task

_SCRIPT: tuple[tuple[OutputKind, str, str | None], ...] = (
    (OutputKind.STATUS, "session started, model claude-sonnet-4-6", None),
    (OutputKind.THINKING, "First see what is there, then the tests around it.", None),
    (OutputKind.TEXT, "I'll look at how it is done today before I change anything.", None),
    (OutputKind.TOOL_START, "rg -n 'schema_version' --type py", "Bash"),
    (OutputKind.TOOL_END, "src/invoices/model.py:41:    schema_version = 3\n"
     "src/invoices/read.py:18:    if row.schema_version < 3:\n"
     "tests/test_read.py:77:    assert row.schema_version == 3", "Bash"),
    (OutputKind.TOOL_START, "src/invoices/read.py", "Read"),
    (OutputKind.TOOL_END, "212 lines", "Read"),
    (OutputKind.TEXT, "The reader falls back to the old layout for everything below version 3. "
     "Three places depend on it:\n\n1. the monthly export\n2. the audit view\n"
     "3. a script nobody has run since May\n\nI move the first two and leave the third alone.",
     None),
    (OutputKind.TOOL_START, "src/invoices/export.py", "Edit"),
    (OutputKind.TOOL_END, "@@ -31,7 +31,6 @@\n-    row = upgrade(row)\n     return row.total",
     "Edit"),
    (OutputKind.TOOL_START, "pytest -q tests/invoices", "Bash"),
    (OutputKind.TOOL_END, "2 failed, 56 passed in 4.1s", "Bash"),
    (OutputKind.TEXT, "Two tests expect the old rounding. Looking at the first one.", None),
    (OutputKind.TOOL_START, "tests/invoices/test_rounding.py", "Read"),
)  # fmt: skip


def output_of(task: Task, began: datetime) -> list[OutputLine]:
    """The lines of a task so far."""
    lines: list[OutputLine] = []
    script = _SCRIPT if task.state in LIVE_STATES else _SCRIPT[:-1]
    for n, (kind, text, tool) in enumerate(script if task.started_at else ()):
        calls = sum(each is OutputKind.TOOL_START for each, _, _ in _SCRIPT[: n + 1])
        lines.append(
            OutputLine(
                fence=task.fence or task.id, n=n, kind=kind, text=text, tool=tool,
                tool_id=f"call-{calls}" if tool else None,
                is_error=kind is OutputKind.TOOL_END and "failed" in text,
                at=began + timedelta(seconds=7 * n),
            )
        )  # fmt: skip
    return lines
