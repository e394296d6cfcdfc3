"""Texts that belong to an earlier one: its link, its photo, its edit, and its being taken back.

A task that has not started is changed in its place, lease or no lease: no process was spawned for
it. One that has started keeps what it was given, and what came later continues it or is said.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

import msgspec

from common.panic import is_panic
from common.wire.approvals import ApprovalKind
from common.wire.events import Entity
from common.wire.messages import Change, MessageState
from common.wire.tasks import TERMINAL_STATES, SubmitTask, TaskState
from hubd.domain import approvals as rules
from hubd.domain import commands, grammar, renderings, replies
from hubd.domain.lifecycle import Cause, Move
from hubd.domain.records import TaskRecord
from hubd.errors import ForbiddenError
from hubd.services import (
    answering,
    asking,
    cancelling,
    journal,
    obeying,
    placing,
    present,
    submitting,
    waiting,
)
from hubd.services.env import Env
from hubd.services.texts import Effect, Text
from hubd.store import approvals, attempts, conversation, tasks
from hubd.store.conversation import InboundRow
from hubd.store.transaction import Tx

JOIN_S = 15.0
"""Two rows of one wish are dated at most so far apart."""
EDIT_S = 20 * 60.0
"""Messages allows an edit for a quarter of an hour."""
THREAD = 60
"""So many texts of a thread are looked at for what a rendering quotes."""
TOO_LATE = "Your edit came after I had acted on that text: send it as a new one."
UNSTARTED = frozenset({TaskState.QUEUED, TaskState.LEASED, TaskState.WAITING_APPROVAL})


def revise(tx: Tx, env: Env, earlier: InboundRow, text: Text, change: Change) -> Effect:
    """What the bridge says of an earlier text: it was edited, unsent, or its files came late."""
    match change:
        case Change.UNSENT:
            return _unsent(tx, env, earlier, text)
        case Change.EDITED:
            return _edited(tx, env, earlier, text)
        case Change.FILES:
            return _late_files(tx, env, earlier, text)
    assert_never(change)


def belongs(tx: Tx, env: Env, row: InboundRow, text: Text) -> Effect | None:
    """The effect of a text that is none of its own; None for one that stands alone."""
    if text.tapback is not None:
        return None
    rendered = renderings.read(text.text)
    if rendered is not None and not text.refers:
        effect = _rendering(tx, env, row, text, rendered)
        if effect is not None:
            return effect
    return None if text.refers else _join(tx, env, row, text)


def is_part(text: Text) -> bool:
    """A link alone, or files without words: words for it may stand beside it."""
    return renderings.is_link(text.text) or (not text.text.strip() and bool(text.files))


# -- what an older Messages shows as a text -------------------------------------------------------


def _rendering(
    tx: Tx, env: Env, row: InboundRow, text: Text, rendered: renderings.Reaction | renderings.Edit
) -> Effect | None:
    if isinstance(rendered, renderings.Edit):
        heard = [
            one
            for one in conversation.last_in_chat(tx.conn, row.chat, THREAD)
            if one.id != row.id and one.tapback is None and row.sent_at - one.sent_at <= EDIT_S
        ]
        if not heard:
            return None
        place = renderings.likeliest(rendered.text, (one.text for one in heard))
        if place is None:  # a text that was rewritten altogether: which one cannot be told
            return Effect(reply=TOO_LATE)
        return _edited(tx, env, heard[place], replace(text, text=rendered.text))
    said = conversation.last_to_chat(tx.conn, row.chat, THREAD)
    for bubble in said:
        if not renderings.quotes(rendered.quote, bubble.text):
            continue
        if rendered.sign is None or bubble.state != MessageState.SENT:
            return Effect()
        if bubble.approval_id is None:
            return Effect()
        reaction = replace(text, tapback=rendered.sign, about_approval=bubble.approval_id)
        return answering.answer_tapback(tx, env, reaction)
    heard = conversation.last_in_chat(tx.conn, row.chat, THREAD)
    quoted = any(renderings.quotes(rendered.quote, one.text) for one in heard if one.id != row.id)
    return Effect() if quoted or rendered.quote is None else None


# -- parts of one wish ----------------------------------------------------------------------------


def _join(tx: Tx, env: Env, row: InboundRow, text: Text) -> Effect | None:
    part = is_part(text)
    before, after = conversation.beside(tx.conn, row)
    for other in (before, after):
        if other is None or abs(other.sent_at - row.sent_at) > JOIN_S or other.tapback:
            continue
        task = _task_made_by(tx, other)
        other_is_part = task is not None and _was_part(other)
        if task is None or not (part or (other is before and other_is_part)):
            continue
        if not part and not _is_plain_work(tx, text):
            return _with_part(tx, env, text, task) if _is_work(tx, text) else None
        return _extend(tx, env, text, task, part=part)
    return None


def _task_made_by(tx: Tx, other: InboundRow) -> TaskRecord | None:
    """The task that a text began, not one that it only asked about."""
    if other.task_id is None:
        return None
    task = submitting.find_task(tx, other.task_id)
    if task.conversation != other.chat or task.state in (TaskState.CANCELLED, TaskState.DENIED):
        return None
    if _was_part(other):
        return task
    made = grammar.parse(other.text, obeying.vocabulary(tx))
    return task if isinstance(made, commands.Work | commands.Continue) else None


def _was_part(other: InboundRow) -> bool:
    return renderings.is_link(other.text) or not other.text.strip()


def _is_work(tx: Tx, text: Text) -> bool:
    return isinstance(grammar.parse(text.text, obeying.vocabulary(tx)), commands.Work)


def _is_plain_work(tx: Tx, text: Text) -> bool:
    command = grammar.parse(text.text, obeying.vocabulary(tx))
    return isinstance(command, commands.Work) and command == commands.Work(command.prompt)


def _extend(tx: Tx, env: Env, text: Text, task: TaskRecord, *, part: bool) -> Effect:
    """Add a link or files to a task's words, or its words to a task that is only a part so far."""
    words, link = (task.prompt, text.text) if part else (text.text.strip(), _link_of(task))
    if part and task.prompt == obeying.files_prompt(tx, task.files):
        words = ""  # photos one after the other
    prompt = renderings.joined(words, link.strip())
    if not prompt:
        prompt = obeying.files_prompt(tx, (*task.files, *text.files))
    if prompt == task.prompt and not text.files:
        return Effect(task_id=task.id)
    if task.state in UNSTARTED and task.started_at is None:
        return amend(tx, env, task, prompt, (*task.files, *text.files), text)
    addition = text.text.strip() or obeying.files_prompt(tx, text.files)
    return obeying.go_on(tx, env, text, commands.Continue(task.id, addition))


def _link_of(task: TaskRecord) -> str:
    return task.prompt if renderings.is_link(task.prompt) else ""


def _with_part(tx: Tx, env: Env, text: Text, task: TaskRecord) -> Effect | None:
    """Words that choose a machine, a specialist, an urgency: they take the waiting part along."""
    if task.state not in UNSTARTED or task.started_at is not None:
        return None
    cancelling.cancel(tx, env, task, text.sender)
    whole = replace(
        text,
        text=renderings.joined(text.text.strip(), _link_of(task)),
        files=(*task.files, *text.files),
    )
    return _said_of(obeying.do(tx, env, whole), f"It takes the place of #{task.id}.")


def amend(
    tx: Tx, env: Env, task: TaskRecord, prompt: str, files: tuple[str, ...], text: Text
) -> Effect:
    """Change what a task that has not started will run. A yes covers exactly what it was asked
    for, so a changed task is asked about again."""
    if task.state is TaskState.LEASED:
        attempt = attempts.find(tx.conn, task.fence or 0)
        if attempt is not None:
            task = placing.take_back(tx, env, task, attempt, Move.START_OVERDUE, Cause.HUB)
    request = msgspec.structs.replace(
        submitting.again(task), prompt=prompt, title=submitting.title_of(prompt)
    )
    gates = [a for a in approvals.of_task(tx.conn, task.id) if a.kind is ApprovalKind.GATE]
    gate = rules.gate(request, env.config.approval)
    if gate is rules.Gate.REFUSE:
        raise ForbiddenError("the policy refuses that (approval.deny in mesh.toml)")
    if task.state is TaskState.QUEUED and (gates or gate is rules.Gate.ASK):
        return _replace(tx, env, task, request, files, text)
    changed = replace(
        task, prompt=prompt, title=request.title or "", files=files, not_before=None,
        updated_at=tx.now,
    )  # fmt: skip
    if task.state is TaskState.WAITING_APPROVAL:
        journal.withdraw_questions(tx, task)
        approval = asking.record_question(tx, env, asking.gate_question(env, changed))
        changed = replace(changed, approval_code=approval.code)
    else:
        changed = replace(changed, wait_reason=waiting.look(tx, env, changed).reason)
    tasks.update(tx.conn, task, changed)
    detail = {"by": text.sender}
    tx.emit("task.amended", Entity.TASK, str(task.id), present.task(changed), detail)
    said = changed.approval_code is not None
    return Effect(reply=None if said else f"#{task.id} has that too.", task_id=task.id)


def _replace(
    tx: Tx, env: Env, task: TaskRecord, request: SubmitTask, files: tuple[str, ...], text: Text
) -> Effect:
    cancelling.cancel(tx, env, task, text.sender)
    origin = replace(obeying.origin(text), files=files)
    made = submitting.submit(tx, env, request, origin, gated=True)
    return Effect(task_id=made.id)


# -- edited, unsent, late -------------------------------------------------------------------------


def _edited(tx: Tx, env: Env, earlier: InboundRow, text: Text) -> Effect:
    new = text.text.strip()
    if is_panic(new):
        return obeying.do(tx, env, text)
    if not new or new == earlier.text.strip():
        return Effect(task_id=earlier.task_id)
    if not earlier.text.strip():
        return _late_words(tx, env, earlier, text)
    words = obeying.vocabulary(tx)
    old, command = grammar.parse(earlier.text, words), grammar.parse(new, words)
    made = earlier.task_id is not None and isinstance(old, commands.Work | commands.Continue)
    if not made or earlier.task_id is None:
        return Effect(reply=TOO_LATE, task_id=earlier.task_id)
    task = submitting.find_task(tx, earlier.task_id)
    conversation.update_inbound(tx.conn, replace(earlier, text=new))
    if task.state in TERMINAL_STATES or task.started_at is not None:
        ran = "had started" if task.state not in TERMINAL_STATES else "was over"
        return Effect(
            reply=f"#{task.id} {ran} before your edit. #{task.id} <what changes> continues it.",
            task_id=task.id,
        )
    if isinstance(old, commands.Work) and isinstance(command, commands.Work):
        same = replace(command, prompt="") == replace(old, prompt="")
        if same and old.prompt in task.prompt:
            prompt = task.prompt.replace(old.prompt, command.prompt, 1)
            return _reworded(amend(tx, env, task, prompt, task.files, text), task.id)
    cancelling.cancel(tx, env, task, text.sender)
    effect = obeying.do(tx, env, replace(text, files=task.files))
    return _said_of(effect, f"It takes the place of #{task.id}.")


def _late_words(tx: Tx, env: Env, earlier: InboundRow, text: Text) -> Effect:
    """Words that came after the files they were sent with, or were heard in a memo later on."""
    conversation.update_inbound(tx.conn, replace(earlier, text=text.text))
    task = _task_made_by(tx, earlier)
    if task is None or not _is_plain_work(tx, text):
        return obeying.do(tx, env, text)
    return _extend(tx, env, text, task, part=False)


def _reworded(effect: Effect, task_id: int) -> Effect:
    if effect.reply is None or effect.task_id != task_id:
        return effect
    return replace(effect, reply=f"#{task_id} has your edit.")


def _said_of(effect: Effect, more: str) -> Effect:
    return effect if effect.reply is None else replace(effect, reply=f"{effect.reply} {more}")


def _unsent(tx: Tx, env: Env, earlier: InboundRow, text: Text) -> Effect:
    task = None if earlier.task_id is None else submitting.find_task(tx, earlier.task_id)
    if task is None or _task_made_by(tx, earlier) is None:
        about = earlier.approval_id is not None
        reply = "I had acted on that before you took it back." if about else None
        return Effect(reply=reply, task_id=earlier.task_id)
    if task.state in TERMINAL_STATES:
        return Effect(reply=f"#{task.id} was over before you took it back.", task_id=task.id)
    if task.started_at is not None:
        reply = f"#{task.id} had started before you took it back. stop {task.id} ends it."
        return Effect(reply=reply, task_id=task.id)
    cancelling.cancel(tx, env, task, text.sender)
    return Effect(task_id=task.id)  # its final reply says that it was stopped


def _late_files(tx: Tx, env: Env, earlier: InboundRow, text: Text) -> Effect:
    task = _task_made_by(tx, earlier)
    if task is not None and task.state not in (TaskState.CANCELLED, TaskState.DENIED):
        return _extend(tx, env, replace(text, text=""), task, part=True)
    if earlier.task_id is None and not earlier.text.strip():
        return obeying.do(tx, env, replace(text, text=""))
    names = ", ".join(obeying.file_names(tx, text.files)) or "a file"
    return Effect(reply=f"{replies.clean(names)} came after its text was done with: send it again.")
