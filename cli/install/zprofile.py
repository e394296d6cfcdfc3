"""The block for `.zprofile`: starts what this machine runs when a Ghostty window opens.

A login shell waits for it, so what it does while the mesh runs is one glance at the parent's lock
file, in zsh itself. A pid alone proves nothing after a reboot, when another process may have it:
the parent also touches its lock file, and an old one leads to `mesh up`, which knows for certain.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from cli.errors import SetUpError
from cli.install.block import add_block, has_block, remove_block

FRESH_S = 180
"""Three times the parent's pause between two touches."""

PASSED_ON = ("MESH_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME")
"""What decides where the mesh keeps its files, as it was when the block was put in."""

# No apostrophe in here: the whole is one quoted word. `emulate -R` and no_aliases give the code
# the zsh it was written for, whatever the user's own options and aliases are, and end with it.
# Lower priority for background jobs (bg_nice) would stay with the daemons for good.
_CODE = """\
() {{
  local mesh_status=$? mesh_pid=
  local -a mesh_fresh
  if [[ -o interactive && -z $SSH_CONNECTION$SSH_TTY$MESH_NO_AUTOSTART && -x {program} ]] &&
     [[ -n $GHOSTTY_RESOURCES_DIR || $TERM_PROGRAM == ghostty ]]; then
    mesh_fresh=( {lock_file}(N.L-32ms-{fresh_s}) )
    (( $#mesh_fresh )) && read -r mesh_pid < {lock_file}
    if [[ $mesh_pid != <2-> ]] || ! kill -0 $mesh_pid; then
      ( trap "" HUP; cd -q /; {exports}exec {command} ) </dev/null >/dev/null 2>&1 &!
    fi
  fi
  return $mesh_status
}}"""

_BLOCK = """\
# Starts the mesh in the background; set MESH_NO_AUTOSTART to leave it off.
# mesh uninstall zprofile removes these lines.
\\builtin \\emulate -R zsh -o no_aliases -o no_bg_nice -o no_monitor -c {code} 2>/dev/null
"""


def render(command: Sequence[str], lock_file: Path, env: Mapping[str, str]) -> str:
    """The block's text; `command` is what starts the mesh, `lock_file` the parent's."""
    exports = "".join(
        f"export {name}={shlex.quote(env[name])}; " for name in PASSED_ON if env.get(name)
    )
    code = _CODE.format(
        program=shlex.quote(command[0]),
        lock_file=shlex.quote(str(lock_file)),
        fresh_s=FRESH_S,
        exports=exports,
        command=shlex.join(command),
    )
    return _BLOCK.format(code=shlex.quote(code))


def zprofile_path(env: Mapping[str, str]) -> Path:
    """`.zprofile` where zsh looks for it."""
    return Path(env.get("ZDOTDIR") or env.get("HOME") or Path.home()) / ".zprofile"


def install(file: Path, body: str) -> bool:
    """Put the block in; False when it was there already, just so."""
    before = _read(file)
    after = add_block(before, body)
    if after == before:
        return False
    _replace(file, after)
    return True


def uninstall(file: Path) -> bool:
    """Take the block out; False when there was none."""
    before = _read(file)
    if before is None or not has_block(before):
        return False
    after = remove_block(before)
    if after is None:
        file.unlink()
    else:
        _replace(file, after)
    return True


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SetUpError(f"{file} cannot be read: {error.strerror}") from error


def _replace(file: Path, content: bytes) -> None:
    """Whole or not at all, with the mode it had; a link to a dotfiles folder stays a link."""
    target = file.resolve()
    temporary = target.with_name(f".{target.name}.mesh-{os.getpid()}")
    try:
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
        temporary.write_bytes(content)
        temporary.chmod(mode)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise SetUpError(f"{file} cannot be written: {error.strerror}") from error
