"""`mesh demo --claude` with the real Claude Code, which talks to the loopback model API only."""

from __future__ import annotations

import asyncio
import shlex
import sys
from pathlib import Path

import pytest

from tests.fakes.model_api import serve_model_api

pytestmark = [pytest.mark.claude, pytest.mark.timeout(180)]


async def test_the_demo_runs_the_claude_on_the_path(
    tmp_path: Path, clean_env: dict[str, str], claude_cli: Path
) -> None:
    async with serve_model_api() as api:
        programs = tmp_path / "bin"
        programs.mkdir()
        (programs / "claude").write_text(
            "#!/bin/sh\n"
            f"export ANTHROPIC_BASE_URL={api.url} ANTHROPIC_API_KEY=loopback-only\n"
            f'exec {shlex.quote(str(claude_cli))} "$@"\n'
        )
        (programs / "claude").chmod(0o755)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "cli", "demo", "--headless", "--claude"),
            env=clean_env | {"PATH": f"{programs}:{clean_env['PATH']}"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, error = await process.communicate()

    said = out.decode()
    assert process.returncode == 0, said + error.decode()
    assert said.count(" done ") == 3
    assert "Every reply arrived" in said
    assert "No model ran" not in said
    assert "rehearsal" not in said
