"""The systemd unit and the recipes of docs/DEPLOY.md."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.conftest import missing_tool
from tests.contract.cli_ops.conftest import Mesh
from tests.contract.deploy.conftest import ROOT, UNIT, UnitHub, free_port

DEPLOY = (ROOT / "docs" / "DEPLOY.md").read_text()


def test_the_units_command_serves_in_the_foreground_and_ends_on_term(unit_hub: UnitHub) -> None:
    unit_hub.start()
    files = [unit_hub.home / name for name in ("hub.db", "hubd.lock")]
    assert [file.stat().st_mode & 0o077 for file in files] == [0, 0]
    answer = httpx.get(f"http://127.0.0.1:{unit_hub.port}/healthz", trust_env=False)
    assert "server" not in answer.headers
    status, _ = unit_hub.stop()
    assert status == 0
    unit_hub.start()  # as systemd does, on the same state
    assert unit_hub.stop()[0] == 0


def test_the_unit_does_not_restart_what_a_restart_cannot_mend(unit_hub: UnitHub) -> None:
    (line,) = re.findall(r"^RestartPreventExitStatus=(.*)$", UNIT.read_text(), re.MULTILINE)
    prevented = {int(code) for code in line.split()}
    unit_hub.start()
    second = UnitHub(unit_hub.home, unit_hub.port)
    second.launch()
    try:
        assert second.process is not None
        assert second.process.wait(15) in prevented
    finally:
        second.close()


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not on this machine")  # a Mac has none
    here = Path(sys.executable).parent
    text = UNIT.read_text().replace("/opt/mesh/.venv/bin", str(here))
    text = re.sub(r"^(User|Group)=.*$", r"\1=root", text, flags=re.MULTILINE)
    unit = tmp_path / UNIT.name
    unit.write_text(text)
    done = subprocess.run(
        [program, "verify", str(unit)], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_certificate_recipe_makes_one_that_a_machine_joins_with(
    mesh: Mesh, clean_env: dict[str, str], tmp_path: Path
) -> None:
    if shutil.which("openssl") is None:
        missing_tool("openssl")
    (command,) = re.findall(r"^\(umask 077 && openssl .*\)$", DEPLOY, re.MULTILINE)
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    assert (tmp_path / "hub.key").stat().st_mode & 0o077 == 0
    port = free_port()
    (mesh.home / "mesh.toml").write_text(
        f'[hub]\nrun = true\nbind = "127.0.0.1:{port}"\nhosts = ["localhost"]\n'
        f'tls_cert = "{tmp_path}/hub.crt"\ntls_key = "{tmp_path}/hub.key"\n'
    )
    (mesh.home / "mesh.toml").chmod(0o600)
    assert mesh("init", "--yes").returncode == 0  # adds the operator's token
    try:
        up = mesh("up")
        assert up.returncode == 0, up.stdout + up.stderr
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False)
        invited = mesh("invite", "--name", "Rex", "--url", f"https://localhost:{port}")
        assert invited.returncode == 0, invited.stderr
        home = tmp_path / "newcomer"
        home.mkdir(mode=0o700)
        newcomer = Mesh({**clean_env, "MESH_HOME": str(home)})
        joined = newcomer("join", stdin=invited.stdout)
        assert (joined.returncode, joined.stderr) == (0, "")
        assert (home / "hub-cert.pem").read_text() == (tmp_path / "hub.crt").read_text()
    finally:
        mesh("down", "--now")
