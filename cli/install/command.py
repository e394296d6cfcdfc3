"""`mesh install` and `mesh uninstall`."""

from __future__ import annotations

import plistlib

import click

from cli.errors import SetUpError
from cli.install import launchd as jobs
from cli.install import zprofile as login
from cli.programs import program
from cli.session import Session, pass_session
from common.config import Config

LAUNCHD_SAYS = """\
macOS now keeps these running from log-in to log-out, without a window.
Full Disk Access stays away from them: a job of launchd stands for itself and was granted nothing,
so what Claude runs here cannot read your messages, mail or Safari data. For the same reason macOS
refuses it ~/Desktop, ~/Documents, ~/Downloads and iCloud Drive: keep projects elsewhere.
The bridge is not among them. It needs Full Disk Access, which it inherits from Ghostty: leave it
to `mesh install zprofile` and `mesh up`, which see that hub and agent run already.
"""


@click.group()
def install() -> None:
    """Start the mesh by itself: with the login shell, or by launchd."""


@click.group()
def uninstall() -> None:
    """Undo `mesh install`."""


print_option = click.option(
    "--print", "only_print", is_flag=True, help="Print what would be written; change nothing."
)


@install.command("zprofile")
@print_option
@pass_session
def install_zprofile(session: Session, only_print: bool) -> None:
    """Start the mesh when a Ghostty window opens, by a marked block in .zprofile.

    In the background, at most once, without a word; not over ssh, and not when MESH_NO_AUTOSTART
    is set.
    """
    body = login.render(
        program("cli", "up", "--quiet"), session.paths.lock_file("parent"), session.env
    )
    if only_print:
        click.echo(body, nl=False)
        return
    file = login.zprofile_path(session.env)
    changed = login.install(file, body)
    click.echo(f"{file}: {'the block is in' if changed else 'the block was in already'}.")
    click.echo("It works from the next Ghostty window on. Now: mesh up")


@uninstall.command("zprofile")
@pass_session
def uninstall_zprofile(session: Session) -> None:
    """Take the block out of .zprofile again, and nothing else."""
    file = login.zprofile_path(session.env)
    removed = login.uninstall(file)
    click.echo(f"{file}: {'the block is out' if removed else 'there was no block'}.")


@install.command("launchd")
@print_option
@pass_session
def install_launchd(session: Session, only_print: bool) -> None:
    """Let launchd run the hub and the agent of this Mac, as the configuration says."""
    wanted = [job for job in _jobs(session.loaded.config) if _runs(session.loaded.config, job)]
    if not wanted:
        raise SetUpError(
            "this machine runs neither hub nor agent. Set hub.run or agent.run in mesh.toml"
        )
    if only_print:
        for job in wanted:
            plist = jobs.property_list(job, session.paths, session.env)
            click.echo(plistlib.dumps(plist).decode(), nl=False)
        return
    launchctl = jobs.find_launchctl(session.env)
    for file in jobs.install(wanted, session.paths, session.env, launchctl):
        click.echo(f"{file}: loaded.")
    click.echo(f"\n{LAUNCHD_SAYS}", nl=False)


@uninstall.command("launchd")
@pass_session
def uninstall_launchd(session: Session) -> None:
    """Stop the jobs and remove their files."""
    launchctl = jobs.find_launchctl(session.env)
    removed = jobs.uninstall(_jobs(Config()), session.env, launchctl)
    for file in removed:
        click.echo(f"{file}: removed.")
    if not removed:
        click.echo("There were no jobs of the mesh.")


def _jobs(config: Config) -> list[jobs.Job]:
    return [
        jobs.Job("hubd", tuple(program("hubd"))),
        jobs.Job("agentd", tuple(program("agentd")), drain_s=config.agent.drain_s),
    ]


def _runs(config: Config, job: jobs.Job) -> bool:
    return config.hub.run if job.daemon == "hubd" else config.agent.run
