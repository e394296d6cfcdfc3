"""`mesh`: the table of its commands, and how they end."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import click

from cli.lazy import Entry, LazyGroup
from cli.session import Session
from cli.words import refuse_broken, show_what_can_be_shown
from common.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE, MeshError
from common.version import VERSION

EXIT_INTERRUPTED = 130

SECTIONS = {
    "Set up": {
        "init": Entry("cli.commands.init:init", "Write a working configuration for this machine."),
        "token": Entry("cli.commands.token:token", "Issue, list and revoke tokens."),
        "config": Entry("cli.commands.config:config", "Show the configuration, or check it."),
        "doctor": Entry("cli.doctor.command:doctor", "Find out what is wrong and how to mend it."),
        "invite": Entry("cli.enroll.command:invite", "Invite another machine to this mesh."),
        "join": Entry("cli.enroll.command:join", "Join a mesh with an invitation."),
        "install": Entry("cli.install.command:install", "Start the mesh with the login shell."),
        "uninstall": Entry("cli.install.command:uninstall", "Undo mesh install."),
    },
    "Run": {
        "up": Entry("cli.commands.up:up", "Start what this machine runs, in the background."),
        "down": Entry("cli.commands.up:down", "Stop it."),
        "restart": Entry("cli.commands.up:restart", "Stop and start it, or one daemon of it."),
        "status": Entry("cli.commands.status:status", "What runs, and what the mesh is doing."),
        "logs": Entry("cli.commands.logs:logs", "What the daemons of this machine wrote."),
        "backup": Entry("cli.commands.backup:backup", "Back the hub's database up, or list."),
        "restore": Entry("cli.commands.backup:restore", "Put a backup in its place."),
        "demo": Entry("cli.commands.demo:demo", "Try a whole mesh with simulated Messages."),
        "completion": Entry("cli.commands.completion:completion", "Complete commands by TAB."),
        "version": Entry("cli.commands.version:version", "Versions of this program and the hub."),
    },
    "Give work": {
        "submit": Entry("cli.commands.submit:submit", "Submit a task; --wait for its answer."),
        "say": Entry("cli.commands.submit:say", "Say a line as if it were texted."),
    },
    "Answer": {
        "pending": Entry("cli.commands.approvals:pending", "List the questions that wait for you."),
        "approve": Entry("cli.commands.approvals:approve", "Say yes to a question."),
        "deny": Entry("cli.commands.approvals:deny", "Say no to a question."),
    },
    "Look": {
        "ls": Entry("cli.commands.tasks:ls", "List tasks."),
        "show": Entry("cli.commands.tasks:show", "Show a task, its attempts and its result."),
        "watch": Entry("cli.commands.submit:watch", "Follow a task's output to its end."),
        "why": Entry("cli.commands.tasks:why", "Say why a task waits, node by node."),
        "nodes": Entry("cli.commands.nodes:nodes", "List the machines."),
        "agents": Entry("cli.commands.nodes:agents", "List the specialists."),
        "cost": Entry("cli.commands.cost:cost", "What it cost."),
    },
    "Control": {
        "cancel": Entry("cli.commands.tasks:cancel", "Stop tasks, or all of them."),
        "retry": Entry("cli.commands.tasks:retry", "Run a finished task again, as a new one."),
        "revoke": Entry("cli.commands.approvals:revoke", "Ask again what was allowed for a task."),
        "hold": Entry("cli.commands.hold:hold", "Start nothing new."),
        "go": Entry("cli.commands.hold:go", "Start again what waits."),
        "drain": Entry("cli.commands.nodes:drain", "Let a node finish and take no more."),
        "undrain": Entry("cli.commands.nodes:undrain", "Let a node take work again."),
        "reset": Entry("cli.commands.nodes:reset", "Close a node's circuit breaker."),
        "resume": Entry("cli.commands.nodes:resume", "Take an account back after a login."),
    },
}

EXAMPLES = """\b
Examples:
  mesh init --yes && mesh up         one machine, from nothing to running
  mesh submit --wait "what is new in this repository?" --in shop
  mesh status                        is everything well?
  mesh demo                          try it all without a phone or a model

\b
Exit codes: 0 ok, 1 failed, 2 usage, 75 already running, 78 configuration.
"""


@click.group(
    cls=LazyGroup,
    sections=SECTIONS,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(VERSION, prog_name="mesh")
@click.pass_context
def mesh(context: click.Context) -> None:
    """A personal mesh of AI agents: text a task, one of your machines runs it."""
    context.obj = Session()


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; what a person can mend becomes one sentence on stderr."""
    show_what_can_be_shown()
    try:
        refuse_broken(sys.argv[1:] if arguments is None else arguments)
        ended = mesh.main(args=arguments, prog_name="mesh", standalone_mode=False)
        return ended if isinstance(ended, int) else EXIT_OK
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("mesh: interrupted", err=True)
        return EXIT_INTERRUPTED
    except MeshError as error:
        click.echo(f"mesh: {error.message}", err=True)
        return error.exit_code
    except BrokenPipeError:
        _silence()  # whoever read our output has enough
        return EXIT_FAILED
    except OSError as error:
        _silence()  # it may have been our output that could not be written
        with suppress(OSError):
            click.echo(f"mesh: {_readable(error)}", err=True)
        return EXIT_FAILED
    except UnicodeError as error:
        click.echo(f"mesh: there is something that is no text: {error}", err=True)
        return EXIT_USAGE


def _silence() -> None:
    """Keep the interpreter from writing to stdout at its end, and from complaining about it."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _readable(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}. Check the path, its permissions and the free disk."


def main() -> None:
    """Entry point."""
    os.umask(0o077)
    sys.exit(run())


if __name__ == "__main__":
    main()
