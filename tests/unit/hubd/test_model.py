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
TRIES = 30
TRY_EXAMPLES = 60

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
@pytest.mark.parametrize(
    "part", [0, *(pytest.param(part, marks=pytest.mark.thorough) for part in range(1, PARTS))]
)
def test_the_invariants_hold_whatever_people_nodes_and_clocks_do(stage: Stage, part: int) -> None:
    run_state_machine_as_test(
        machine(stage, part),
        settings=settings(COMMON, max_examples=EXAMPLES, stateful_step_count=STEPS),
    )


@pytest.mark.thorough
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_the_model_notices_a_hub_in_which(
    stage: Stage, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each fault makes an invariant fail, and not the model itself.

    Several short streams: where one comes upon a fault late, it may be hundreds of examples late.
    What a seed draws also depends on the modules that are loaded (hypothesis takes constants from
    them), so there are streams enough for the rarest: one example in a hundred meets it, and
    1,800 miss it once in some ten million runs.
    """
    MUTANTS[name](monkeypatch)
    with pytest.raises(AssertionError):
        run_streams(stage)


def run_streams(stage: Stage) -> None:
    for number in range(TRIES):
        run_state_machine_as_test(
            machine(stage, number),
            settings=settings(
                COMMON, max_examples=TRY_EXAMPLES, stateful_step_count=STEPS,
                phases=[Phase.generate],
            ),
        )  # fmt: skip
