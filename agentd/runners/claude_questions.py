"""Claude's `can_use_tool` requests as questions for a person, and answers as its protocol.

A request of the AskUserQuestion tool holds one or more questions; they are asked one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from agentd.runners.claude_rules import rules_of
from agentd.runners.protocol import Answer, ApprovalRequested, Job
from agentd.runners.tool_text import clipped, detail_of, summary_of
from common.wire.approvals import Decision
from common.wire.nodes import ResumeAnswer

ASK_USER = "AskUserQuestion"
SUMMARY_CHARS = 480

OUTSIDE_SANDBOX = "dangerouslyDisableSandbox"
"""What a call says that is to run outside the sandbox; without one it says nothing."""


@dataclass(slots=True)
class PendingRequest:
    """One control request and the answers collected for it so far."""

    control_id: str
    tool: str
    call: dict[str, Any]
    answers: dict[str, str] = field(default_factory=dict)
    denial: str | None = None
    allowed: bool = False
    rules: tuple[str, ...] = ()

    @classmethod
    def of(cls, control_id: str, request: dict[str, Any]) -> PendingRequest:
        tool, call = str(request.get("tool_name")), dict(request.get("input") or {})
        return cls(control_id, tool, call, rules=rules_of(request))

    @property
    def questions(self) -> list[dict[str, Any]]:
        if self.tool != ASK_USER:
            return []
        return [item for item in self.call.get("questions", ()) if isinstance(item, dict)]

    def next_question(self) -> ApprovalRequested:
        """What to ask now; call it only while `response()` is None."""
        questions = self.questions
        if not questions:
            where = " outside the sandbox" if self.call.get(OUTSIDE_SANDBOX) is True else ""
            summary = f"{self.tool}{where}: {summary_of(self.tool, self.call)}"
            return ApprovalRequested(
                request_id=self.control_id,
                kind="tool",
                tool=self.tool,
                summary=clipped(summary, SUMMARY_CHARS),
                detail=detail_of(self.tool, self.call),
                high_risk=self.call.get(OUTSIDE_SANDBOX) is True,
                rules=self.rules,
            )
        at = len(self.answers)
        options = [item for item in questions[at].get("options", ()) if isinstance(item, dict)]
        return ApprovalRequested(
            request_id=f"{self.control_id}:{at}",
            kind="question",
            tool=self.tool,
            summary=clipped(str(questions[at].get("question") or "?"), SUMMARY_CHARS),
            detail="\n".join(_option_line(option) for option in options),
            choices=tuple(str(option.get("label")) for option in options),
        )

    def take(self, answer: Answer) -> None:
        """Note a person's answer to the question asked last."""
        questions = self.questions
        if not answer.allow:
            self.denial = answer.text or "The owner said no. Do not try it in another way."
        elif questions and len(self.answers) < len(questions):
            question = str(questions[len(self.answers)].get("question") or "?")
            self.answers[question] = answer.text or "yes"
            self.allowed = len(self.answers) >= len(questions)
        else:
            self.allowed = True

    def response(self) -> dict[str, Any] | None:
        """The protocol's answer, or None while a question is still open."""
        if self.denial is not None:
            return {"behavior": "deny", "message": self.denial, "interrupt": False}
        if not self.allowed:
            return None
        if self.questions:
            return {"behavior": "allow", "updatedInput": self.call | {"answers": self.answers}}
        return {"behavior": "allow", "updatedInput": self.call}


def _option_line(option: dict[str, Any]) -> str:
    return f"{option.get('label')}: {option.get('description', '')}".rstrip(": ")


def granted_by(grant: ResumeAnswer | None, pending: PendingRequest) -> bool:
    """Whether the yes that resumed this session was for exactly this call."""
    return (
        grant is not None
        and grant.decision is Decision.APPROVE
        and not pending.questions
        and grant.tool == pending.tool
        and grant.detail == detail_of(pending.tool, pending.call)
    )


def opening_prompt(job: Job) -> str:
    """The first message of the run: the task's text, or the answer a parked session waits for."""
    resume = job.resume
    if resume is None:
        return job.prompt
    if resume.tool is None or resume.tool == ASK_USER:
        return _question_answered(resume)
    if resume.decision is Decision.DENY:
        reason = f" Their reason: {resume.note}" if resume.note else ""
        return (
            f"You had asked to use {resume.tool}. The owner said no.{reason}"
            " Do not try it in another way. Go on with the task without it, or say what cannot"
            " be done."
        )
    return (
        f"You had asked to use {resume.tool} and were stopped while the owner was asked: the"
        " rejection you saw was not theirs. They said yes to exactly this call, once. Make it"
        f" again, unchanged, then go on with the task:\n{resume.detail}"
    )


def _question_answered(resume: ResumeAnswer) -> str:
    if resume.decision is Decision.DENY:
        return (
            "The owner did not want to answer your question."
            f"{' They said: ' + resume.note if resume.note else ''} Decide yourself, say what you"
            " assumed, and go on with the task."
        )
    answer = resume.answer or resume.note or "yes"
    return f"The owner's answer to your question: {answer}\nGo on with the task."
