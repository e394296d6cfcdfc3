"""A node's circuit breaker: rules B1 to B10, as functions from one record to the next.

Only a node's own faults count; what the model provider or the task did says nothing against the
machine. A half-open breaker admits one probe, which holds a lease of its own so that a probe that
is cancelled, released or never heard of again frees its place.
"""

from __future__ import annotations

import random
from dataclasses import replace
from enum import StrEnum

from common.config.schema import BreakerConfig
from common.wire.nodes import BreakerState
from common.wire.tasks import Outcome
from hubd.domain.records import BreakerRecord

HEALTHY = frozenset({Outcome.OK, Outcome.TASK_ERROR, Outcome.PERMANENT})
"""Outcomes that prove the node works, whatever they say of the task."""

EVIDENCE_KEPT = 3


def cooldown_s(opens: int, config: BreakerConfig, rng: random.Random) -> float:
    """B2: doubling with every opening, capped, jittered."""
    base = min(config.cooldown_s * 2.0 ** min(max(opens - 1, 0), 32), config.cap_s)
    return base * rng.uniform(1 - config.jitter, 1 + config.jitter)


def admits(breaker: BreakerRecord, now: float) -> bool:
    """Whether one more attempt may be leased now (B3, B4)."""
    match breaker.state:
        case BreakerState.CLOSED:
            return True
        case BreakerState.OPEN:
            return breaker.until is not None and now >= breaker.until
        case BreakerState.HALF_OPEN:
            return breaker.probe_fence is None


def on_lease(
    breaker: BreakerRecord, fence: int, now: float, config: BreakerConfig
) -> BreakerRecord:
    """An attempt was leased; when the breaker is not closed it is the probe. Check `admits`."""
    if breaker.state is BreakerState.CLOSED:
        return breaker
    return replace(
        breaker,
        state=BreakerState.HALF_OPEN,
        until=None,
        probe_fence=fence,
        probe_until=now + config.probe_s,
        reason="probing with one task",
        changed_at=now,
    )


def on_outcome(
    breaker: BreakerRecord,
    fence: int,
    outcome: str,
    now: float,
    config: BreakerConfig,
    rng: random.Random,
    *,
    evidence: str = "",
) -> BreakerRecord:
    """An attempt ended. Returns the same record when nothing changed."""
    is_probe = breaker.state is BreakerState.HALF_OPEN and breaker.probe_fence == fence
    if outcome == Outcome.NODE_FAULT:
        return _fault(breaker, is_probe, now, config, rng, evidence)
    if outcome in HEALTHY:
        return _healthy(breaker, is_probe, now)
    return free_probe(breaker, fence, now)


def _fault(
    breaker: BreakerRecord,
    is_probe: bool,
    now: float,
    config: BreakerConfig,
    rng: random.Random,
    evidence: str,
) -> BreakerRecord:
    kept = (*breaker.evidence, evidence or "node fault")[-EVIDENCE_KEPT:]
    if breaker.state is BreakerState.OPEN:
        return replace(breaker, evidence=kept)  # B8: what still ran there ends; it is open already
    if breaker.state is BreakerState.HALF_OPEN:
        return _open(breaker, kept, now, config, rng) if is_probe else breaker
    in_window = breaker.window_start is not None and now - breaker.window_start <= config.window_s
    counted = replace(
        breaker,
        fails=breaker.fails + 1 if in_window else 1,
        window_start=breaker.window_start if in_window else now,
        evidence=kept,
        healthy_since=None,
        changed_at=now,
    )
    return _open(counted, kept, now, config, rng) if counted.fails >= config.threshold else counted


def _open(
    breaker: BreakerRecord,
    evidence: tuple[str, ...],
    now: float,
    config: BreakerConfig,
    rng: random.Random,
) -> BreakerRecord:
    opens = breaker.opens + 1
    return replace(
        breaker,
        state=BreakerState.OPEN,
        fails=0,
        window_start=None,
        opens=opens,
        until=now + cooldown_s(opens, config, rng),
        probe_fence=None,
        probe_until=None,
        reason=evidence[-1],
        evidence=evidence,
        opened_at=now,
        healthy_since=None,
        changed_at=now,
    )


def _healthy(breaker: BreakerRecord, is_probe: bool, now: float) -> BreakerRecord:
    if breaker.state is BreakerState.CLOSED:
        if breaker.fails == 0 and breaker.healthy_since is not None:
            return breaker
        return replace(
            breaker, fails=0, window_start=None, healthy_since=breaker.healthy_since or now
        )
    if not is_probe:
        return breaker
    return replace(
        breaker,
        state=BreakerState.CLOSED,
        fails=0,
        window_start=None,
        until=None,
        probe_fence=None,
        probe_until=None,
        reason=None,
        healthy_since=now,
        changed_at=now,
    )


def free_probe(breaker: BreakerRecord, fence: int, now: float) -> BreakerRecord:
    """B5: the probe ended without saying anything of the node; the next one may go."""
    if breaker.state is not BreakerState.HALF_OPEN or breaker.probe_fence != fence:
        return breaker
    return replace(
        breaker, probe_fence=None, probe_until=None, reason="waiting for a probe", changed_at=now
    )


class Probe(StrEnum):
    """How a half-open breaker's probe fares."""

    RUNNING = "running"
    SILENT = "silent"
    """Leased, being stopped, or its node is out of touch: nothing can be said yet."""
    OVER = "over"


def on_tick(
    breaker: BreakerRecord, now: float, config: BreakerConfig, probe: Probe = Probe.OVER
) -> BreakerRecord:
    """Time passed: decide a probe that takes long, forget an opening per healthy half hour (B7),
    and keep a cooldown within its cap whatever the clock did (B9)."""
    if breaker.state is BreakerState.HALF_OPEN:
        return _watch_probe(breaker, now, probe)
    longest = config.cap_s * (1 + config.jitter)
    if breaker.state is BreakerState.OPEN and (breaker.until or 0.0) > now + longest:
        return replace(breaker, until=now + longest)
    return _forget_openings(breaker, now, config)


def _watch_probe(breaker: BreakerRecord, now: float, probe: Probe) -> BreakerRecord:
    """A probe that ended unseen frees its place; one that has run long enough has shown that the
    node works, however it ends. Never are there two."""
    if breaker.probe_fence is None:
        return breaker
    if probe is Probe.OVER:
        return free_probe(breaker, breaker.probe_fence, now)
    if probe is Probe.RUNNING and now >= (breaker.probe_until or now):
        return _healthy(breaker, True, now)
    return breaker


def _forget_openings(breaker: BreakerRecord, now: float, config: BreakerConfig) -> BreakerRecord:
    healthy = breaker.healthy_since
    if breaker.state is not BreakerState.CLOSED or not breaker.opens or healthy is None:
        return breaker
    forgotten = min(int((now - healthy) // config.decay_s), breaker.opens)
    if forgotten <= 0:
        return breaker
    return replace(
        breaker,
        opens=breaker.opens - forgotten,
        healthy_since=healthy + forgotten * config.decay_s,
    )


def shift(breaker: BreakerRecord, seconds: float) -> BreakerRecord:
    """After a jump of the wall clock: what was left of every pause is left still."""

    def moved(moment: float | None) -> float | None:
        return None if moment is None else moment + seconds

    return replace(
        breaker,
        until=moved(breaker.until),
        probe_until=moved(breaker.probe_until),
        window_start=moved(breaker.window_start),
        healthy_since=moved(breaker.healthy_since),
    )


def reset(breaker: BreakerRecord, now: float) -> BreakerRecord:
    """B10: an operator closes it and its history is forgotten."""
    return BreakerRecord(node=breaker.node, healthy_since=now, changed_at=now)
