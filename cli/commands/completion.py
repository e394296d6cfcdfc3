"""`mesh completion`: the shell's part of completing commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["zsh", "bash", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script for a shell.

    \b
    Examples:
      mesh completion zsh > ~/.zfunc/_mesh     with fpath+=~/.zfunc before compinit
      eval "$(mesh completion bash)"
      mesh completion fish > ~/.config/fish/completions/mesh.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"{shell} is not known.")
    root = context.find_root()
    click.echo(kind(root.command, {}, "mesh", "_MESH_COMPLETE").source())
