"""An attempt's output folded into parts: text grows, a tool call and its end are one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from common.clock import to_epoch
from common.wire.nodes import OutputKind, OutputLine
from tui.state.cells import Cell, Piece, Role, cell
from tui.state.measures import duration, plural
from tui.state.plain import one_line, paragraphs

KEPT_PARTS = 1500
OPEN_LINES = 400
"""Lines of one tool result that are shown when it is unfolded."""
_GROWING = {OutputKind.TEXT, OutputKind.THINKING}


@dataclass(slots=True)
class Part:
    """`version` counts its changes, so that only a changed part is laid out again."""

    id: int
    kind: OutputKind | None
    text: str = ""
    tool: str = ""
    tool_id: str | None = None
    result: str | None = None
    is_error: bool = False
    began: float | None = None
    ended: float | None = None
    open: bool = False
    cut_off: bool = False
    version: int = 0

    def cells(self) -> list[Cell]:
        """Its lines, not yet wrapped."""
        match self.kind:
            case OutputKind.TEXT:
                return [cell(line) for line in paragraphs(self.text.strip("\n"))]
            case OutputKind.THINKING:
                lines = paragraphs(self.text.strip("\n"))
                return [(Piece("∴ ", Role.FAINT), *cell(line, Role.MUTED)) for line in lines]
            case OutputKind.STATUS:
                return [(Piece("· ", Role.FAINT), *cell(self.text, Role.MUTED))]
            case None:
                return [(), cell(self.text, Role.ACCENT)]
            case _:
                return self._call()

    def _call(self) -> list[Cell]:
        first, *rest = paragraphs(self.text) if self.text else [""]
        head: Cell = (
            Piece("▾ " if self.open else "▸ ", Role.ACCENT),
            Piece(f"{one_line(self.tool) or 'tool'}  ", Role.STRONG),
            *cell(first, Role.MUTED),
            *self._end(),
        )
        if not self.open:
            return [head]
        lines = [head, *((Piece("    "), *cell(line, Role.MUTED)) for line in rest)]
        shown = paragraphs(self.result) if self.result else []
        role = Role.BAD if self.is_error else Role.PLAIN
        lines += [(Piece("  │ ", Role.FAINT), *cell(line, role)) for line in shown[:OPEN_LINES]]
        if len(shown) > OPEN_LINES:
            lines.append(cell(f"  └ {len(shown) - OPEN_LINES} more lines", Role.FAINT))
        return lines

    def _end(self) -> Cell:
        if self.result is None:
            running = Piece("  ◌ running", Role.RUN)
            return (Piece("  ⊘ cut off", Role.MUTED) if self.cut_off else running,)
        took = ""
        if self.began is not None and self.ended is not None:
            took = f" {duration(self.ended - self.began)}"
        if self.is_error:
            return (Piece(f"  ✗ failed{took}", Role.BAD),)
        lines = self.result.count("\n") + 1 if self.result else 0
        return (Piece("  ✓", Role.OK), Piece(f" {plural(lines, 'line')}{took}", Role.FAINT))


@dataclass(slots=True)
class Transcript:
    """`dropped`: parts that were let go because there were too many."""

    parts: list[Part] = field(default_factory=list)
    dropped: int = 0
    all_open: bool = False
    _fence: int | None = None
    _count: int = 0
    _calls: dict[str, Part] = field(default_factory=dict)

    def add(self, line: OutputLine) -> None:
        """Take one output item in; they come in order."""
        if self._fence is not None and line.fence != self._fence:
            self.close()
            self._append(None, f"── another attempt, fence {line.fence} ──")
        self._fence = line.fence
        at = to_epoch(line.at) if line.at else None
        if line.kind is OutputKind.TOOL_END:
            self._end_call(line, at)
        elif line.kind in _GROWING and self.parts and self.parts[-1].kind is line.kind:
            self.parts[-1].text += line.text
            self.parts[-1].version += 1
        else:
            part = self._append(line.kind, line.text)
            part.began = at
            if line.kind is OutputKind.TOOL_START:
                part.tool, part.open = line.tool or "", self.all_open
                if line.tool_id:
                    self._calls[line.tool_id] = part
        if len(self.parts) > KEPT_PARTS:
            self.dropped += len(self.parts) - KEPT_PARTS
            del self.parts[: len(self.parts) - KEPT_PARTS]

    def toggle(self, part_id: int) -> bool:
        """Fold or unfold a tool call; False when there is nothing to fold."""
        for part in self.parts:
            if part.id == part_id and part.kind is OutputKind.TOOL_START:
                part.open = not part.open
                part.version += 1
                return True
        return False

    def toggle_all(self) -> None:
        self.all_open = not self.all_open
        for part in self.parts:
            if part.kind is OutputKind.TOOL_START:
                part.open = self.all_open
                part.version += 1

    def close(self) -> None:
        """The task is finished: a call without an end was cut off."""
        for part in self._calls.values():
            part.cut_off = True
            part.version += 1
        self._calls.clear()

    def text(self) -> str:
        """What the model said, for the clipboard."""
        return "\n".join(p.text for p in self.parts if p.kind is OutputKind.TEXT).strip()

    def _append(self, kind: OutputKind | None, text: str) -> Part:
        self._count += 1
        part = Part(self._count, kind, text)
        self.parts.append(part)
        return part

    def _end_call(self, line: OutputLine, at: float | None) -> None:
        part = self._calls.pop(line.tool_id or "", None)
        if part is None:  # its beginning was dropped on the way
            part = self._append(OutputKind.TOOL_START, "")
            part.tool = line.tool or ""
        part.result, part.is_error, part.ended = line.text, line.is_error, at
        part.version += 1


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that are laid out together; `version` says when anew."""

    id: int
    version: int
    cells: tuple[Cell, ...]


def blocks_of(transcript: Transcript, result: str | None) -> Sequence[Block]:
    """The transcript with the result at its end."""
    blocks = [Block(p.id, p.version, tuple(p.cells())) for p in transcript.parts]
    if transcript.dropped:
        text = f"… {plural(transcript.dropped, 'earlier part')} not kept here"
        blocks.insert(0, Block(0, transcript.dropped, (cell(text, Role.FAINT),)))
    if result is not None:
        head = cell("── result ──" if result else "── no result text ──", Role.ACCENT)
        lines = [cell(line) for line in paragraphs(result)] if result else []
        blocks.append(Block(-1, len(result), ((), head, *lines)))
    return blocks
