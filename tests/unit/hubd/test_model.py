"""The hub keeps its invariants under random use, and the model notices every seeded fault."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.unit.hubd.machine import HubMachine, Stage
from tests.unit.hubd.mutants import MUTANTS

PARTS = 6
EXAMPLES = 250
STEPS = 16
TRIES = 14
TRY_EXAMPLES = 60
FIRST = {
    "a_clock_jump_expires_leases": 1,
    "a_finished_task_can_be_stopped": 6,
    "a_provider_limit_counts_as_a_node_fault": 13,
    "a_yes_may_come_before_its_question": 2,
    "all_start_at_once_after_the_reset": 7,
    "the_fence_is_not_checked": 1,
    "the_lease_is_not_released_with_the_task": 7,
}
"""Another stream of examples to try first where stream 0 comes upon the fault late."""

COMMON = settings(
    deadline=None,
    database=None,
    print_blob=False,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.clear()


def machine(stage: Stage, number: int) -> type[HubMachine]:
    """A machine of its own, with its own stream of examples."""
    return seed(number)(type("HubMachine", (HubMachine,), {"stage": stage, "count": 0}))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(PARTS))
def test_the_invariants_hold_whatever_people_nodes_and_clocks_do(stage: Stage, part: int) -> None:
    run_state_machine_as_test(
        machine(stage, part),
        settings=settings(COMMON, max_examples=EXAMPLES, stateful_step_count=STEPS),
    )


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_the_model_notices_a_hub_in_which(
    stage: Stage, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each fault makes an invariant fail, and not the model itself.

    Several short streams: where one comes upon a fault late, it may be hundreds of examples late.
    """
    MUTANTS[name](monkeypatch)
    with pytest.raises(AssertionError):
        run_streams(stage, first=FIRST.get(name, 0))


def run_streams(stage: Stage, first: int) -> None:
    for number in sorted(range(TRIES), key=lambda n: n != first):
        run_state_machine_as_test(
            machine(stage, number),
            settings=settings(
                COMMON, max_examples=TRY_EXAMPLES, stateful_step_count=STEPS,
                phases=[Phase.generate],
            ),
        )  # fmt: skip
