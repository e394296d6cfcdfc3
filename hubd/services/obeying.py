"""Doing what a text says: each command's effect and its reply, in the text's own transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import assert_never

from common.wire.tasks import TERMINAL_STATES, OnLost, SubmitTask, TaskState
from hubd.domain import commands, grammar, replies
from hubd.domain.commands import Command, NodeVerb, Vocabulary
from hubd.domain.records import TaskRecord
from hubd.errors import ConflictError, HubError
from hubd.services import (
    answering,
    asking,
    cancelling,
    journal,
    looking,
    moving,
    nodes,
    submitting,
    waiting,
)
from hubd.services.env import Env
from hubd.services.projects import all_say_projects, project_names
from hubd.services.submitting import Origin
from hubd.services.tasks import retry_task
from hubd.services.texts import Effect, Text
from hubd.store import files as file_store
from hubd.store import nodes as node_store
from hubd.store import tasks
from hubd.store.transaction import Tx

PART_WAIT_S = 4.0
"""So long a link or a photo alone waits for the words that may follow."""


def vocabulary(tx: Tx) -> Vocabulary:
    """The names texts may use."""
    known = node_store.everyone(tx.conn)
    return Vocabulary(
        nodes=_spelling(node.name for node in known),
        specialists=_spelling(name for node in known for name in node.specialists),
        projects={name: name for name in project_names(known)},
        all_projects_known=all_say_projects(known),
    )


def _spelling(names: Iterable[str]) -> dict[str, str]:
    return {name.lower(): name for name in names}


def guarded(tx: Tx, text: Text, act: Callable[[], Effect]) -> Effect:
    """Let a text have its effect. What it got wrong is its reply, not an error."""
    tx.conn.execute("SAVEPOINT obey")
    mark = len(tx.events)
    try:
        effect = act()
    except HubError as error:
        # Half a command must not stay: the reply that says why is its only effect.
        tx.conn.execute("ROLLBACK TO obey")
        del tx.events[mark:]
        effect = Effect(reply=error.message, task_id=text.about_task)
    tx.conn.execute("RELEASE obey")
    return effect


def do(tx: Tx, env: Env, text: Text) -> Effect:
    """The effect of a text that stands for itself; raises HubError."""
    if text.tapback is not None:
        return answering.answer_tapback(tx, env, text)
    if not text.text.strip() and (text.files or text.lost_files):
        if not text.files:
            return Effect(reply=replies.nothing_came(text.lost_files))
        text = replace(text, text=files_prompt(tx, text.files), waits=not text.refers)
    command = grammar.parse(text.text, vocabulary(tx))
    if text.refers:
        command = _about(text, command)
        if text.about_approval is not None:
            answered = answering.answer_inline(tx, env, text, command)
            if answered is not None:
                return answered
    return _do(tx, env, text, command)


def _about(text: Text, command: Command) -> Command:
    """An inline reply without a number means the task it answers."""
    task_id = text.about_task
    match command:
        case commands.Work() if text.about_approval is None and task_id is not None:
            return grammar.follow_up(task_id, text.text)
        case commands.Look(topic=topic, task_id=None) if topic in grammar.BARE_ON_REPLY:
            return replace(command, task_id=task_id)
        case commands.Stop(task_id=None, everything=False):
            return commands.Stop(task_id=task_id)
        case commands.Retry(task_id=None):
            return replace(command, task_id=task_id)
        case commands.Revoke(task_id=None):
            return commands.Revoke(task_id)
        case _:
            return command


def _do(tx: Tx, env: Env, text: Text, command: Command) -> Effect:
    match command:
        case commands.Work():
            return _work(tx, env, text, command)
        case commands.Continue():
            return go_on(tx, env, text, command)
        case commands.Answer():
            return answering.answer_text(tx, env, text, command)
        case commands.Revoke():
            return _revoke(tx, env, text, command)
        case commands.Look():
            return looking.look(tx, env, text.chat, command)
        case commands.Stop():
            return _stop(tx, env, text, command)
        case commands.Hold():
            return _hold(tx, text, command)
        case commands.NodeOrder():
            return _node_order(tx, env, text, command)
        case commands.Retry():
            return _retry(tx, env, text, command)
        case commands.Help():
            return Effect(reply=grammar.help_text(command.verb))
        case commands.Unclear():
            return Effect(reply=command.hint)
    assert_never(command)


def file_names(tx: Tx, ids: Sequence[str]) -> list[str]:
    return file_store.names(tx.conn, ids)


def files_prompt(tx: Tx, ids: Sequence[str]) -> str:
    """The words of files that came without any; empty when there are none."""
    names = ", ".join(file_names(tx, ids))
    return f"See the attached {names}." if names else ""


def _with_losses(text: Text, prompt: str) -> str:
    """The run has to know that it does not see all its author sent."""
    if not text.lost_files:
        return prompt
    return f"{prompt}\n\n({replies.lost(text.lost_files)})"


def origin(text: Text) -> Origin:
    return Origin(source=text.via, by=text.sender, conversation=text.chat, files=text.files)


def _work(tx: Tx, env: Env, text: Text, work: commands.Work) -> Effect:
    request = SubmitTask(
        prompt=_with_losses(text, work.prompt),
        specialist=work.specialist,
        node=work.node,
        project=work.project,
        branch=work.branch,
        priority=work.priority,
        approval=work.approval,
        on_lost=OnLost.REQUEUE,
    )
    wait_s = PART_WAIT_S if text.waits else 0.0
    task = submitting.submit(tx, env, request, origin(text), wait_s=wait_s)
    return _accepted(tx, env, task)


def _accepted(tx: Tx, env: Env, task: TaskRecord) -> Effect:
    """A gated task's question is its acknowledgement."""
    if task.approval_code is not None:
        return Effect(task_id=task.id)
    outlook = waiting.look(tx, env, task)
    reply = replies.accepted(task, outlook.ahead, outlook.would_run_on, outlook.reason)
    return Effect(reply=reply, task_id=task.id)


def go_on(tx: Tx, env: Env, text: Text, command: commands.Continue) -> Effect:
    """A follow-up, in the session of the task it continues."""
    before = submitting.find_task(tx, command.task_id)
    request = SubmitTask(
        prompt=_with_losses(text, command.prompt),
        specialist=before.specialist,
        node=command.node or before.pinned_node,
        project=before.project,
        branch=before.branch,
        model=before.model,
        continue_of=before.id,
        approval=command.approval,
        priority=command.priority,
    )
    task = submitting.submit(tx, env, request, origin(text))
    effect = _accepted(tx, env, task)
    if effect.reply is None:
        return effect
    how = f"goes on from #{before.id}"
    if task.session_id is None:
        how = f"follows #{before.id}, in a new session"
    return replace(effect, reply=f"{effect.reply} It {how}.")


def _stop(tx: Tx, env: Env, text: Text, command: commands.Stop) -> Effect:
    if command.everything:
        stopped = cancelling.cancel_all(tx, env, text.sender)
        journal.set_hold(tx, True, "stop all", text.sender)
        word = "task" if len(stopped) == 1 else "tasks"
        return Effect(reply=f"Stopping {len(stopped)} {word}, and on hold. go starts again.")
    if command.task_id is None:
        return Effect(reply="Stop which one? stop 42, or stop all.")
    task = submitting.find_task(tx, command.task_id)
    if task.cancel_requested and task.state not in TERMINAL_STATES:
        return Effect(reply=f"#{task.id} is being stopped.", task_id=task.id)
    stopped_task = cancelling.cancel(tx, env, task, text.sender)
    if stopped_task.state in TERMINAL_STATES and stopped_task.conversation == text.chat:
        return Effect(task_id=task.id)  # its final reply says so
    word = "stopped" if stopped_task.state in TERMINAL_STATES else "is being stopped"
    return Effect(reply=f"#{task.id} {word}.", task_id=task.id)


def _revoke(tx: Tx, env: Env, text: Text, command: commands.Revoke) -> Effect:
    if command.task_id is None:
        raise ConflictError("Take back what was allowed for which one? revoke 42.")
    task = submitting.find_task(tx, command.task_id)
    asking.revoke(tx, env, task, text.sender)
    return Effect(reply=f"#{task.id} asks again from now on.", task_id=task.id)


def _hold(tx: Tx, text: Text, command: commands.Hold) -> Effect:
    journal.set_hold(tx, command.on, None, text.sender)
    if command.on:
        return Effect(reply="On hold: nothing new starts. go starts again.")
    return Effect(reply="Going on.")


def _node_order(tx: Tx, env: Env, text: Text, command: commands.NodeOrder) -> Effect:
    name = command.node
    match command.verb:
        case NodeVerb.DRAIN:
            nodes.set_drain(tx, name, command.note, command.timeout_s, text.sender)
            busy = len(tasks.live_of(tx.conn, name))
            span = f" for {replies.duration(command.timeout_s)}" if command.timeout_s else ""
            return Effect(reply=f"{name} takes no more{span}, {busy} still running.")
        case NodeVerb.UNDRAIN:
            nodes.end_drain(tx, name, text.sender)
            return Effect(reply=f"{name} takes work again.")
        case NodeVerb.RESET:
            nodes.reset_breaker(tx, env, name, text.sender)
            return Effect(reply=f"{name}'s breaker is closed.")
    assert_never(command.verb)


def _retry(tx: Tx, env: Env, text: Text, command: commands.Retry) -> Effect:
    task_id = command.task_id or looking.last_task(tx, text.chat)
    if task_id is None:
        raise ConflictError("Retry which one? retry 42.")
    submitted = retry_task(tx, env, task_id, origin(text), elsewhere=command.elsewhere)
    if not submitted.created:
        task = submitting.find_task(tx, task_id)
        moved = _moved(tx, env, task) if command.elsewhere else f"#{task_id} waits again."
        return Effect(reply=moved, task_id=task_id)
    again = submitting.find_task(tx, submitted.task.id)
    effect = _accepted(tx, env, again)
    if effect.reply is None:
        return effect
    return replace(effect, reply=f"{effect.reply} It repeats #{task_id}.")


def _moved(tx: Tx, env: Env, task: TaskRecord) -> str:
    """What becomes of a task that shall run elsewhere: nothing starts there while it may run."""
    if task.state is TaskState.RUNNING:
        by = moving.safe_by(tx, env, task)
        return (
            f"#{task.id} is being stopped on {task.node} and then starts elsewhere. Should "
            f"{task.node} fall silent, that is at {by}."
        )
    if task.state is TaskState.UNKNOWN:
        by = moving.safe_by(tx, env, task)
        return (
            f"{task.node} is silent and may still run #{task.id}. It has surely ended it by {by}: "
            f"then #{task.id} starts elsewhere, or as soon as {task.node} says so."
        )
    outlook = waiting.look(tx, env, task)
    reply = replies.accepted(task, outlook.ahead, outlook.would_run_on, outlook.reason)
    return f"{reply} It no longer waits for {task.avoid_node}."
