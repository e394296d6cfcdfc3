"""Finding the program a runner starts."""

from __future__ import annotations

import shutil
from pathlib import Path


def find_program(program: str, path: str | None) -> str | None:
    """The full path of an executable named by path or word; None when there is none."""
    found = shutil.which(str(Path(program).expanduser()), path=path)
    return None if found is None else str(Path(found).absolute())
