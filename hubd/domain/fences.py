"""Fences: the strictly increasing numbers that decide whose result counts."""

from __future__ import annotations

SEQ_BITS = 32
MAX_SEQ = (1 << SEQ_BITS) - 1


def make_fence(epoch: int, seq: int) -> int:
    """Raises ValueError outside 1 ≤ epoch, 1 ≤ seq < 2³²."""
    if epoch < 1 or not 1 <= seq <= MAX_SEQ:
        raise ValueError(f"no fence from epoch {epoch}, seq {seq}")
    return (epoch << SEQ_BITS) | seq


def epoch_of(fence: int) -> int:
    return fence >> SEQ_BITS


def seq_of(fence: int) -> int:
    return fence & MAX_SEQ
