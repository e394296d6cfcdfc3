"""Which answer a conversation gets: a pure function of the request.

A prompt carries `[[scenario:NAME]]` or `[[scenario:NAME {"key": value}]]`. The last marker in the
conversation rules; the step is the number of assistant messages after it. A later prompt without a
marker is answered with a plain text that counts the prompts seen, which proves a resumed session;
with the argument `across_prompts` the scenario goes on instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.model_api.books import Usage

MARKER = re.compile(r"\[\[scenario:([a-z0-9_]+)(?:\s+(\{.*?\}))?\]\]", re.DOTALL)

FILLER = "No response requested."
"""What Claude Code itself puts between an interrupted turn and the next prompt."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One tool_use block."""

    name: str
    input: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Say:
    """A message that is served whole, or until `cut_after` text pieces, or with pauses."""

    text: str = ""
    tools: tuple[ToolCall, ...] = ()
    delay_s: float = 0.0
    piece_delay_s: float = 0.0
    cut_after: int | None = None
    stop_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """An HTTP error in the API's own shape."""

    status: int
    kind: str
    message: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hang:
    """Accept the request and never answer it; with `pieces` the stream starts, then stalls."""

    pieces: int = 0


Reply = Say | Fault | Hang
Args = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Situation:
    """What a scenario may look at."""

    step: int
    args: Args
    prompts: int
    tool_results: tuple[str, ...]
    now_s: float


def usage_for(step: int) -> Usage:
    """Tokens that differ with every step, so that a lost message shows in any total."""
    return Usage(
        input_tokens=11 + 3 * step,
        output_tokens=23 + 7 * step,
        cache_read_input_tokens=1000 * step,
        cache_creation_input_tokens=500 if step == 0 else 40 + step,
    )


def _texts(message: dict[str, Any]) -> list[str]:
    content = message.get("content", "")
    if isinstance(content, str):
        return [content]
    return [block["text"] for block in content if block.get("type") == "text"]


def _tool_results(message: dict[str, Any]) -> list[str]:
    content = message.get("content", "")
    if isinstance(content, str):
        return []
    return [
        _flat(block.get("content", "")) for block in content if block.get("type") == "tool_result"
    ]


def _flat(content: object) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if isinstance(part, dict))
    return ""


def read_situation(body: dict[str, Any], now_s: float) -> tuple[str, Situation]:
    """Find the scenario that rules this request."""
    name, args, step, prompts = "success", {}, 0, 0
    results: list[str] = []
    for message in body.get("messages", []):
        if message.get("role") == "assistant":
            step += _texts(message) != [FILLER]
            continue
        if message.get("role") != "user":
            continue
        tool_results = _tool_results(message)
        results.extend(tool_results)
        found = [match for text in _texts(message) for match in MARKER.finditer(text)]
        if found:
            name, args = found[-1].group(1), json.loads(found[-1].group(2) or "{}")
            step, prompts = 0, prompts + 1
        elif not tool_results:
            prompts += 1
            if step and not args.get("across_prompts"):
                name, args, step = "success", {}, 0
    return name, Situation(step, args, max(prompts, 1), tuple(results), now_s)


def _success(at: Situation) -> Reply:
    text = at.args.get("text", f"Done. Prompts seen in this session: {at.prompts}.")
    return Say(text=text, delay_s=at.args.get("delay_s", 0.0))


def _tool_use(at: Situation) -> Reply:
    if at.step == 0:
        command = at.args.get("command", "echo tool-was-here")
        return Say("Running it.", (ToolCall("Bash", {"command": command, "description": "run"}),))
    return Say(f"The tool said: {at.tool_results[-1][:200] if at.tool_results else 'nothing'}")


def _needs_permission(at: Situation) -> Reply:
    if at.step == 0:
        command = at.args.get("command", "touch asked-for.txt")
        return Say("I need that.", (ToolCall("Bash", {"command": command, "description": "ask"}),))
    return Say(f"After asking: {at.tool_results[-1][:200] if at.tool_results else 'nothing'}")


def _write_file(at: Situation) -> Reply:
    if at.step == 0:
        return Say(
            "Writing.",
            (ToolCall("Write", {"file_path": at.args["path"], "content": at.args["content"]}),),
        )
    return Say(f"Written: {at.tool_results[-1][:120] if at.tool_results else 'nothing'}")


def _call(at: Situation) -> Reply:
    if at.step == 0:
        return Say("Calling.", (ToolCall(at.args["tool"], at.args.get("input", {})),))
    return Say(f"Result: {at.tool_results[-1][:200] if at.tool_results else 'nothing'}")


def _ask_user(at: Situation) -> Reply:
    if at.step == 0:
        question = {
            "question": "Which colour?",
            "header": "Colour",
            "multiSelect": False,
            "options": [
                {"label": "Blue", "description": "the calm one"},
                {"label": "Red", "description": "the loud one"},
            ],
        }
        return Say("", (ToolCall("AskUserQuestion", {"questions": [question]}),))
    return Say(f"You said: {at.tool_results[-1][:300] if at.tool_results else 'nothing'}")


def _many_turns(at: Situation) -> Reply:
    turns = int(at.args.get("turns", 20))
    if at.step < turns:
        command = f"echo turn-{at.step}"
        return Say(
            f"Turn {at.step}.", (ToolCall("Bash", {"command": command, "description": "turn"}),)
        )
    return Say(f"All {turns} turns done.")


def _long_text(at: Situation) -> Reply:
    words = int(at.args.get("words", 4000))
    text = " ".join(f"word{n}" for n in range(words))
    return Say(text, piece_delay_s=at.args.get("piece_delay_s", 0.0))


def _slow(at: Situation) -> Reply:
    """Text that keeps coming for about `seconds`."""
    pieces = max(1, int(at.args.get("seconds", 30) / 0.2))
    return Say(" ".join(["still"] * pieces * 4), piece_delay_s=0.2)


def _unauthorized(at: Situation) -> Reply:
    return Fault(401, "authentication_error", "invalid x-api-key")


def _forbidden(at: Situation) -> Reply:
    return Fault(403, "permission_error", "Your account does not have access.")


def _credit_low(at: Situation) -> Reply:
    return Fault(400, "invalid_request_error", "Your credit balance is too low to access the API.")


def _model_missing(at: Situation) -> Reply:
    return Fault(404, "not_found_error", "model: no-such-model")


def _too_long(at: Situation) -> Reply:
    return Fault(400, "invalid_request_error", "prompt is too long: 250000 tokens > 200000 maximum")


def _rate_limited(at: Situation) -> Reply:
    """The unified limit of a subscription, with its reset time `in_s` seconds ahead."""
    reset = int(at.now_s + at.args.get("in_s", 3600))
    return Fault(
        429,
        "rate_limit_error",
        "This request would exceed your account's rate limit.",
        {
            "anthropic-ratelimit-unified-status": "rejected",
            "anthropic-ratelimit-unified-reset": str(reset),
            "anthropic-ratelimit-unified-representative-claim": at.args.get("claim", "five_hour"),
            "anthropic-ratelimit-unified-5h-status": "rejected",
            "anthropic-ratelimit-unified-5h-reset": str(reset),
            "anthropic-ratelimit-unified-5h-utilization": "1.0",
            "retry-after": str(int(at.args.get("in_s", 3600))),
        },
    )


def _throttled(at: Situation) -> Reply:
    return Fault(429, "rate_limit_error", "Too many requests.", {"retry-after": "0"})


def _server_error(at: Situation) -> Reply:
    return Fault(500, "api_error", "Internal server error")


def _overloaded(at: Situation) -> Reply:
    return Fault(529, "overloaded_error", "Overloaded")


def _stream_cut(at: Situation) -> Reply:
    return Say("This text never reaches its end because the line drops.", cut_after=3)


def _hang(at: Situation) -> Reply:
    return Hang(pieces=int(at.args.get("pieces", 0)))


def _refusal(at: Situation) -> Reply:
    return Say("", stop_reason="refusal")


def _steps(at: Situation) -> Reply:
    """A scripted conversation: `steps` is a list of {text?, tool?, input?}."""
    steps = at.args["steps"]
    entry = steps[min(at.step, len(steps) - 1)]
    tools = (ToolCall(entry["tool"], entry.get("input", {})),) if "tool" in entry else ()
    return Say(entry.get("text", ""), tools)


SCENARIOS: dict[str, Callable[[Situation], Reply]] = {
    "success": _success,
    "tool_use": _tool_use,
    "needs_permission": _needs_permission,
    "write_file": _write_file,
    "call": _call,
    "ask_user": _ask_user,
    "many_turns": _many_turns,
    "long_text": _long_text,
    "slow": _slow,
    "unauthorized": _unauthorized,
    "forbidden": _forbidden,
    "credit_low": _credit_low,
    "model_missing": _model_missing,
    "too_long": _too_long,
    "rate_limited": _rate_limited,
    "throttled": _throttled,
    "server_error": _server_error,
    "overloaded": _overloaded,
    "stream_cut": _stream_cut,
    "hang": _hang,
    "refusal": _refusal,
    "steps": _steps,
}


def plan(name: str, situation: Situation) -> Reply:
    """The reply of a scenario; an unknown name is an API error that says so."""
    scenario = SCENARIOS.get(name)
    if scenario is None:
        known = ", ".join(SCENARIOS)
        return Fault(400, "invalid_request_error", f"no scenario named {name}; known: {known}")
    return scenario(situation)
