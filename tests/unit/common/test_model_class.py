"""A model's class: what its provider limits as one."""

from __future__ import annotations

import pytest

from common.model_class import model_class


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("opus", "opus"),
        ("claude-opus-5-5", "opus"),
        ("anthropic/claude-opus-4.1", "opus"),
        ("us.anthropic.claude-opus-4-20250514-v1:0", "opus"),
        ("opusplan", "opus"),
        ("Sonnet", "sonnet"),
        ("sonnet[1m]", "sonnet"),
        ("claude-3-5-haiku-20241022", "haiku"),
        ("claude-fable-5-2", "fable"),
        ("gpt-5.3-codex", "gpt-5.3-codex"),
        ("openai/gpt-5.3-codex", "gpt-5.3-codex"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("qwen3-coder:30b", "qwen3-coder"),
        ("a model~with/odd signs!", "odd-signs"),
        ("default", None),
        ("inherit", None),
        ("", None),
        (None, None),
    ],
)
def test_a_model_has_the_class_its_provider_limits(name: str | None, expected: str | None) -> None:
    assert model_class(name) == expected
