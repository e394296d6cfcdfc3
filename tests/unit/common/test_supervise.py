"""A loop that fails is started again alone; its siblings never notice."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.supervise import Backoff, Supervisor


def quick() -> Backoff:
    return Backoff(first_s=0.001, cap_s=0.002, rng=random.Random(1))


async def test_a_failing_loop_restarts_while_its_sibling_goes_on() -> None:
    runs = 0
    done = asyncio.Event()

    async def fails_twice() -> None:
        nonlocal runs
        runs += 1
        if runs <= 2:
            raise RuntimeError("boom")
        done.set()

    sibling_cancelled = False

    async def sibling() -> None:
        nonlocal sibling_cancelled
        try:
            await done.wait()
        except asyncio.CancelledError:
            sibling_cancelled = True
            raise

    supervisor = Supervisor(backoff=quick)
    async with asyncio.timeout(5):
        await supervisor.run({"bad": fails_twice, "good": sibling})
    assert runs == 3
    assert not sibling_cancelled
    assert supervisor.health["bad"].restarts == 2
    assert supervisor.health["bad"].last_error == "boom"
    assert supervisor.health["good"].restarts == 0


async def test_a_fatal_error_ends_the_group() -> None:
    class Fatal(Exception):
        pass

    async def fatal() -> None:
        raise Fatal

    async def endless() -> None:
        await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.timeout(5):
            await Supervisor(backoff=quick, fatal=(Fatal,)).run({"a": fatal, "b": endless})
    assert caught.group_contains(Fatal)


async def test_cancelling_the_supervisor_ends_its_loops() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def loop() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.create_task(Supervisor().run({"loop": loop}), name="supervisor")
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


@given(st.integers(0, 2**32), st.integers(1, 60))
def test_pauses_grow_to_the_cap_and_never_vanish(seed: int, failures: int) -> None:
    backoff = Backoff(first_s=0.5, cap_s=60.0, rng=random.Random(seed))
    pauses = [backoff.next_s() for _ in range(failures)]
    for n, pause in enumerate(pauses):
        ceiling = min(60.0, 0.5 * 2**n)
        assert ceiling / 5 <= pause <= ceiling
