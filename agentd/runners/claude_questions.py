"""Claude's `can_use_tool` requests as questions for a person, and answers as its protocol.

A request of the AskUserQuestion tool holds one or more questions; they are asked one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from agentd.runners.claude_rules import rules_of
from agentd.runners.foreign import Part
from agentd.runners.protocol import Answer, ApprovalRequested, Job
from agentd.runners.tool_text import clipped, detail_of, summary_of
from common.wire.approvals import Decision
from common.wire.nodes import ResumeAnswer

ASK_USER = "AskUserQuestion"
SUMMARY_CHARS = 480
HEADER_CHARS = 60
CHOICE_CHARS = 500
MAX_CHOICES = 20
"""What the hub takes of one question."""

OUTSIDE_SANDBOX = "dangerouslyDisableSandbox"
"""What a call says that is to run outside the sandbox; without one it says nothing."""


UNREADABLE = "The request could not be read, so nobody was asked. Do not try it in another way."


@dataclass(frozen=True, slots=True)
class Question:
    """One question of an AskUserQuestion call. `words` name it among the others of its call: Claude
    Code takes answers by a question's words, and two may have the same."""

    words: str
    question: str
    header: str
    choices: tuple[str, ...]
    meanings: tuple[str, ...]
    several: bool


@dataclass(slots=True)
class PendingRequest:
    """One control request and the answers collected for it so far, in the order of its questions.

    `control_id` goes back as it came.
    """

    control_id: object
    tool: str
    call: dict[str, Any]
    questions: tuple[Question, ...] = ()
    answers: list[str] = field(default_factory=list)
    denial: str | None = None
    allowed: bool = False
    rules: tuple[str, ...] = ()

    @classmethod
    def of(cls, control_id: object, request: Part) -> PendingRequest:
        """What cannot be shown to a person is denied at once."""
        tool, call = request.name("tool_name"), request.part("input")
        readable = tool is not None and (
            "input" not in request or isinstance(request.value["input"], dict)
        )
        questions = read_questions(call) if tool == ASK_USER else ()
        if tool == ASK_USER and not questions:
            readable = False
        return cls(
            control_id,
            tool or "",
            dict(call.value),
            questions,
            denial=None if readable else UNREADABLE,
            rules=rules_of(dict(request.value)),
        )

    def next_question(self, request_id: str) -> ApprovalRequested:
        """What to ask now; call it only while `response()` is None."""
        if not self.questions:
            where = " outside the sandbox" if self.call.get(OUTSIDE_SANDBOX) is True else ""
            summary = f"{self.tool}{where}: {summary_of(self.tool, self.call)}"
            return ApprovalRequested(
                request_id=request_id,
                kind="tool",
                tool=self.tool,
                summary=clipped(summary, SUMMARY_CHARS),
                detail=detail_of(self.tool, self.call),
                high_risk=self.call.get(OUTSIDE_SANDBOX) is True,
                rules=self.rules,
            )
        asked = self.questions[len(self.answers)]
        return ApprovalRequested(
            request_id=request_id,
            kind="question",
            tool=self.tool,
            summary=clipped(self._summary(asked), SUMMARY_CHARS),
            detail=_option_lines(asked),
            choices=asked.choices,
        )

    def _summary(self, asked: Question) -> str:
        if len(self.questions) == 1:
            return asked.question
        about = f", {asked.header}" if asked.header else ""
        return f"({len(self.answers) + 1} of {len(self.questions)}{about}) {asked.question}"

    def take(self, answer: Answer) -> None:
        """Note a person's answer to the question asked last."""
        if not answer.allow:
            self.denial = answer.text or "The owner said no. Do not try it in another way."
            return
        if self.questions:
            self.answers.append(answer.text or "yes")
        self.allowed = len(self.answers) >= len(self.questions)

    def response(self) -> dict[str, Any] | None:
        """The protocol's answer, or None while a question is still open."""
        if self.denial is not None:
            return {"behavior": "deny", "message": self.denial, "interrupt": False}
        if not self.allowed:
            return None
        if self.questions:
            return {"behavior": "allow", "updatedInput": self._answered_call()}
        return {"behavior": "allow", "updatedInput": self.call}

    def _answered_call(self) -> dict[str, Any]:
        answers = {
            asked.words: answer for asked, answer in zip(self.questions, self.answers, strict=False)
        }
        given = [item for item in self.call["questions"] if isinstance(item, dict)]
        if any(asked.words != asked.question for asked in self.questions):
            given = [
                item | {"question": asked.words}
                for item, asked in zip(given, self.questions, strict=True)
            ]
        return self.call | {"questions": given, "answers": answers}


def read_questions(call: Part) -> tuple[Question, ...]:
    """The questions of an AskUserQuestion call, each with words of its own."""
    found: list[Question] = []
    parts = call.parts("questions") if "questions" in call else []
    texts = [part.text("question") or "?" for part in parts]
    for part, text in zip(parts, texts, strict=True):
        options = [
            option
            for option in (part.parts("options") if "options" in part else [])
            if option.text("label")
        ][:MAX_CHOICES]
        header = part.text("header")[:HEADER_CHARS]
        taken = {asked.words for asked in found}
        named = f"{text} ({header})" if header else text
        words = text if texts.count(text) == 1 else named
        if words in taken or (words == text and texts.count(text) > 1):
            words = f"{text} ({len(found) + 1})"
        found.append(
            Question(
                words=words,
                question=text,
                header=header,
                choices=tuple(clipped(option.text("label"), CHOICE_CHARS) for option in options),
                meanings=tuple(option.text("description") for option in options),
                several="multiSelect" in part and part.flag("multiSelect"),
            )
        )
    return tuple(found)


def _option_lines(asked: Question) -> str:
    pairs = zip(asked.choices, asked.meanings, strict=True)
    return "\n".join(
        f"{label}: {' '.join(meaning.split())}".rstrip(": ") for label, meaning in pairs
    )


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
