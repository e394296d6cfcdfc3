"""Names of models as programs and platforms write them, and where each may be looked up."""

from __future__ import annotations

import re
from collections.abc import Iterator

PLATFORMS = {
    "amazon": "aws",
    "amazon-bedrock": "aws",
    "anthropic": "anthropic",
    "aws": "aws",
    "azure": "azure",
    "azure_ai": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "cerebras": "cerebras",
    "claude": "anthropic",
    "cohere": "cohere",
    "databricks": "databricks",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "github-copilot": "github-copilot",
    "github_copilot": "github-copilot",
    "google": "google",
    "google-gla": "google",
    "google-vertex": "google",
    "google_genai": "google",
    "groq": "groq",
    "minimax": "minimax",
    "mistral": "mistral",
    "mistralai": "mistral",
    "moonshot": "moonshotai",
    "moonshotai": "moonshotai",
    "novita": "novita",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "together": "together",
    "together_ai": "together",
    "vertex": "google",
    "vertex_ai": "google",
    "vertex_ai_beta": "google",
    "x-ai": "x-ai",
    "xai": "x-ai",
    "z-ai": "zai",
    "zai": "zai",
}
"""Prefixes of a name, and the price list of the platform that each stands for."""

OWN_MACHINE = frozenset(
    {
        "hosted_vllm",
        "llama.cpp",
        "llamacpp",
        "lm-studio",
        "lm_studio",
        "lmstudio",
        "local",
        "localhost",
        "mlx",
        "ollama",
        "ollama_chat",
        "vllm",
    }
)
"""Prefixes of models that run at home: no provider's price applies to them."""

WINDOW = re.compile(r"\[[^\[\]]*\]$")
"""How Claude Code marks a larger context window: `claude-sonnet-5-5[1m]`."""

BEDROCK = re.compile(
    r"^(?:(?:[a-z]{2,6}|us-gov)\.)?(?:anthropic|openai|amazon|meta|mistral|qwen)\."
)
VERSION = re.compile(r"(?:-v\d+)?:\d+$|-v\d+$")
SNAPSHOT = re.compile(r"@[\w.-]+$")
DATE = re.compile(r"-(?:20\d{6}|20\d\d-\d\d-\d\d)$")
LATEST = re.compile(r"-latest$")

Place = tuple[str | None, str]
"""A price list, None for the maker's own, and a name in it."""


def places(model: str) -> Iterator[Place]:
    """Where to look a model up, in order: as it is written, with the platform it names, then with
    its maker. None at all for a model that runs at home."""
    name = WINDOW.sub("", model.strip().lower())
    if not name or _prefixes(name) & OWN_MACHINE:
        return
    seen: set[Place] = set()
    for place in _places(name):
        if place[1] and place not in seen:
            seen.add(place)
            yield place


def _prefixes(name: str) -> set[str]:
    return set(re.split(r"[/:]", name)[:-1])


def _places(name: str) -> Iterator[Place]:
    if "/" not in name:
        yield None, name
    platform, rest = _platform(name)
    last = rest.rsplit("/", 1)[-1]
    if platform is None and BEDROCK.match(last):
        platform = "aws"
    if platform is not None:
        for spelling in (rest, last):
            yield from ((platform, plainer) for plainer in _plainer(spelling))
    yield from ((None, plainer) for plainer in _plainer(BEDROCK.sub("", last)))
    if "/" in name:
        yield "openrouter", name  # the one list whose names hold their maker


def _platform(name: str) -> tuple[str | None, str]:
    """The platform that a prefix names, and what stands behind it."""
    if name.startswith("arn:aws:bedrock:"):
        return "aws", name.rsplit("/", 1)[-1]
    head, sign, tail = name.partition(":")
    if sign and head in PLATFORMS:
        return PLATFORMS[head], tail
    found: str | None = None
    parts = name.split("/")
    for at, part in enumerate(parts[:-1]):
        if part in PLATFORMS:
            found = PLATFORMS[part]
            rest = "/".join(parts[at + 1 :])
            # `openrouter/anthropic/…` is one name of OpenRouter's list.
            return found, rest
    return found, name


def _plainer(name: str) -> Iterator[str]:
    """The name, then without its version, snapshot and date."""
    yield name
    for addition in (VERSION, SNAPSHOT, VERSION, DATE, LATEST):
        shorter = addition.sub("", name)
        if shorter != name:
            name = shorter
            yield name
