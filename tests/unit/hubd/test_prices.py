"""Pricing: names as people and programs write them, tiers by call, cache writes once."""

from __future__ import annotations

import pytest
from genai_prices.data import providers
from genai_prices.types import ModelPrice, TieredPrices
from hypothesis import given
from hypothesis import strategies as st

from common.wire.usage import LONG_CALLS, LongCalls, Usage
from hubd.domain.prices import estimate_usd

MILLION = 1_000_000


def usd(model: str, **counts: int) -> float | None:
    return estimate_usd(Usage(model=model, **counts))


@pytest.mark.parametrize("model", ["gpt-5.5", "claude-sonnet-4-5", "gemini-2.5-pro", "grok-4.5"])
def test_a_sum_of_calls_is_priced_like_its_calls(model: str) -> None:
    """`long_context_price`: the day's cap tripped on ten short calls priced as one long one."""
    one = usd(model, input_tokens=10_000, cache_read_tokens=90_000, output_tokens=500)
    ten = usd(model, input_tokens=100_000, cache_read_tokens=900_000, output_tokens=5_000)
    assert one is not None
    assert ten == pytest.approx(10 * one)


def test_long_calls_are_priced_as_long_ones_and_the_rest_as_short() -> None:
    long = {"input_tokens": 300_000, "output_tokens": 1000}
    short = {"input_tokens": 50_000, "output_tokens": 2000}
    alone = usd("gpt-5.5", **long, calls=1)
    assert alone == pytest.approx((2 * 5.0 * 300_000 + 1.5 * 30.0 * 1000) / MILLION)
    mixed = Usage(
        model="gpt-5.5",
        input_tokens=350_000,
        output_tokens=3000,
        long_calls=[LongCalls(over=272_000, **long)],
    )
    assert estimate_usd(mixed) == pytest.approx((alone or 0) + (usd("gpt-5.5", **short) or 0))


def test_equal_calls_of_a_known_number_are_priced_by_their_length() -> None:
    short = usd("gpt-5.5", input_tokens=3 * MILLION, calls=30)
    long = usd("gpt-5.5", input_tokens=3 * MILLION, calls=10)
    assert long == pytest.approx(2 * (short or 0))


def test_parts_that_are_more_than_the_whole_say_nothing() -> None:
    odd = Usage(
        model="gpt-5.5", input_tokens=5, long_calls=[LongCalls(over=272_000, input_tokens=9)]
    )
    assert estimate_usd(odd) == usd("gpt-5.5", input_tokens=5)


def test_the_bands_of_the_wire_hold_every_bound_of_the_price_list() -> None:
    """Otherwise calls on both sides of a bound would be summed, and priced as one kind."""
    bounds: set[int] = set()
    for provider in providers:
        for model in provider.models:
            listed = model.prices if isinstance(model.prices, list) else [model.prices]
            for entry in listed:
                price = entry if isinstance(entry, ModelPrice) else entry.prices
                for value in price.__dict__.values():
                    if isinstance(value, TieredPrices):
                        bounds |= {tier.start for tier in value.tiers}
    assert bounds <= set(LONG_CALLS)
    assert list(LONG_CALLS) == sorted(LONG_CALLS)


def test_an_hour_in_the_cache_costs_more_and_is_not_counted_twice() -> None:
    """With a login token every task writes for an hour: its estimate was 58 % too high."""
    five_minutes = usd("claude-sonnet-5-5", cache_write_tokens=MILLION)
    hour = usd("claude-sonnet-5-5", cache_write_tokens=MILLION, cache_write_1h_tokens=MILLION)
    half = usd("claude-sonnet-5-5", cache_write_tokens=MILLION, cache_write_1h_tokens=MILLION // 2)
    assert (five_minutes, hour, half) == pytest.approx((2.5, 4.0, 3.25))
    apart = usd("claude-sonnet-5-5", cache_write_1h_tokens=MILLION)
    assert apart == hour, "who reports the hour's part only means the same"


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("anthropic/claude-sonnet-5-5", "claude-sonnet-5-5"),
        ("anthropic/claude-sonnet-5.5", "claude-sonnet-5-5"),
        ("anthropic:claude-opus-5-5", "claude-opus-5-5"),
        ("CLAUDE-SONNET-5-5", "claude-sonnet-5-5"),
        ("claude-sonnet-5-5[1m]", "claude-sonnet-5-5"),
        (" Claude-Sonnet-5-5[1M] ", "claude-sonnet-5-5"),
        ("claude-sonnet-5-5-20260101", "claude-sonnet-5-5"),
        ("openrouter/anthropic/claude-sonnet-5-5", "claude-sonnet-5-5"),
        ("openrouter/openai/gpt-5.5", "gpt-5.5"),
        ("openai/gpt-5.5", "gpt-5.5"),
        ("azure/gpt-5.5", "gpt-5.5"),
        ("gpt-5.5-2026-04-01", "gpt-5.5"),
        ("litellm_proxy/gpt-5.5", "gpt-5.5"),
        ("global.anthropic.claude-opus-5-5-v1:0", "claude-opus-5-5"),
        ("ca.anthropic.claude-sonnet-5-5-v1:0", "claude-sonnet-5-5"),
        ("vertex_ai/claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("vertex_ai/gemini-2.5-pro", "gemini-2.5-pro"),
        ("gemini/gemini-2.5-pro", "gemini-2.5-pro"),
        ("google/gemini-2.5-pro", "gemini-2.5-pro"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("projects/p/locations/us/publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("xai/grok-4", "grok-4"),
    ],
)
def test_a_name_with_its_platform_has_its_models_price(name: str, plain: str) -> None:
    for calls in (1, 100):
        wanted = usd(plain, input_tokens=MILLION, cache_read_tokens=MILLION, calls=calls)
        assert wanted is not None
        found = usd(name, input_tokens=MILLION, cache_read_tokens=MILLION, calls=calls)
        assert found == pytest.approx(wanted)


@pytest.mark.parametrize(
    "name",
    [
        "us.anthropic.claude-sonnet-5-5-v1:0",
        "bedrock/us.anthropic.claude-sonnet-5-5-v1:0",
        "bedrock/anthropic.claude-sonnet-5-5-v1:0",
        "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-5-5-v1:0",
        "us.anthropic.claude-sonnet-5-5-20260101-v1:0",
    ],
)
def test_a_regional_bedrock_name_has_the_regional_price(name: str) -> None:
    assert usd(name, input_tokens=MILLION) == pytest.approx(1.1 * 2.0)


@pytest.mark.parametrize(
    "name",
    [
        "", "unknown", "codex", "no-such-model", "claude-sonnet-99-9", "openai/no-such-model",
        "openrouter/nobody/nothing", "sonnet", "<synthetic>", "/", "a/", ":", "[1m]",
        "ollama/deepseek-chat", "lm_studio/gpt-5.5", "ollama:deepseek-chat",
    ],
)  # fmt: skip
def test_what_nobody_has_a_price_for_stays_unknown(name: str) -> None:
    assert usd(name, input_tokens=5) is None


@given(st.text(max_size=60))
def test_any_name_at_all_is_looked_up_without_a_fault(name: str) -> None:
    estimate_usd(Usage(model=name, input_tokens=5))
