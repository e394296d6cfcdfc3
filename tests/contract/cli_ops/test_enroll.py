"""Bringing a second machine in: two MESH_HOMEs, a real hub, a server that is not the hub."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import stat
import threading
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cli.enroll.invitation import InvitationError, read_invitation
from cli.errors import SetUpError
from cli.setup.edit import set_values
from common.client import Credentials, HubClient, NodeApi, Secret
from common.wire.admin import Role
from common.wire.nodes import RegisterNode
from tests.contract.cli_ops.certificates import self_signed
from tests.contract.cli_ops.conftest import Mesh
from tests.contract.hubd.harness import HubProcess, issue

PIN = "0" * 64
SECRET = "mesh_invite_0123456789ab_" + "s" * 43


class Machines:
    """A hub's machine and a newcomer."""

    def __init__(self, hub: Mesh, newcomer: Mesh, process: HubProcess) -> None:
        self.hub, self.newcomer, self.process = hub, newcomer, process

    @property
    def url(self) -> str:
        return self.process.hub.url

    def start(self) -> None:
        self.process.start()
        token = asyncio.run(issue(self.hub.home, Role.OPERATOR))
        tokens = self.hub.home / "tokens"
        tokens.mkdir(mode=0o700)
        (tokens / "operator.token").write_text(token)
        (tokens / "operator.token").chmod(0o600)
        bind = self.url.partition("://")[2]
        _configure(self.hub, f'[hub]\nrun = true\nbind = "{bind}"\n', append=True)

    def invite(self, *options: str) -> str:
        done = self.hub("invite", *options)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def machines(tmp_path: Path, clean_env: dict[str, str]) -> Iterator[Machines]:
    meshes = []
    for name in ("hub", "newcomer"):
        home = tmp_path / name
        home.mkdir(mode=0o700)
        meshes.append(Mesh({**clean_env, "MESH_HOME": str(home)}))
    process = HubProcess(meshes[0].home, dict(clean_env))
    yield Machines(meshes[0], meshes[1], process)
    process.close()


def _configure(mesh: Mesh, text: str, *, append: bool = False) -> None:
    file = mesh.home / "mesh.toml"
    before = file.read_text() if append and file.exists() else ""
    file.write_text(before + text)
    file.chmod(0o600)


def _with_tls(machines: Machines, folder: Path) -> Path:
    cert, key = self_signed(folder, "hub")
    env = {"MESH_HUB__TLS_CERT": str(cert), "MESH_HUB__TLS_KEY": str(key)}
    machines.process.env.update(env)
    machines.hub = Mesh({**machines.hub.env, **env})
    return cert


def _registers(mesh: Mesh, url: str, name: str, ca_file: Path | None) -> None:
    token = (mesh.home / "tokens" / f"node-{name}.token").read_text().strip()

    async def register() -> None:
        async with HubClient(Credentials(url, Secret(token), ca_file)) as client:
            await NodeApi(client, name).register(RegisterNode(slots=1))

    asyncio.run(register())


def test_a_machine_joins_over_tls_and_knows_the_hub_by_its_certificate(
    machines: Machines, tmp_path: Path
) -> None:
    cert = _with_tls(machines, tmp_path)
    machines.start()
    text = machines.invite("--name", "Rex")
    assert text.startswith(f"mesh1.{machines.url}.")
    done = machines.newcomer("join", stdin=text + "\n")
    assert (done.returncode, done.stderr) == (0, "")
    home = machines.newcomer.home
    token_file = home / "tokens" / "node-Rex.token"
    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
    config = tomllib.loads((home / "mesh.toml").read_text())
    assert config["hub"] == {"url": machines.url, "pin": text.split(".")[-2]}
    assert config["agent"] == {"run": True, "name": "Rex"}
    assert (home / "hub-cert.pem").read_text() == cert.read_text()
    assert text.rpartition(".")[2] not in done.stdout
    _registers(machines.newcomer, machines.url, "Rex", home / "hub-cert.pem")
    status = machines.newcomer("nodes")
    assert "no token" in status.stderr  # a node's token is nobody's to command with


def test_on_one_machine_it_goes_without_tls(machines: Machines) -> None:
    machines.start()
    text = machines.invite()
    assert ".plain." in text
    done = machines.newcomer("join", "--name", "Crucible", stdin=text)
    assert (done.returncode, done.stderr) == (0, "")
    _registers(machines.newcomer, machines.url, "Crucible", None)


def test_an_invitation_works_once(machines: Machines, tmp_path: Path) -> None:
    machines.start()
    text = machines.invite()
    assert machines.newcomer("join", "--name", "Rex", stdin=text).returncode == 0
    third = tmp_path / "third"
    third.mkdir(mode=0o700)
    again = Mesh({**machines.newcomer.env, "MESH_HOME": str(third)})
    done = again("join", "--name", "Rex", stdin=text)
    assert done.returncode == 1
    assert "used already" in done.stderr
    assert not (third / "tokens" / "node-Rex.token").exists()
    served = [line for line in machines.process.lines() if line.get("route") == "POST /v1/join"]
    assert len(served) == 1  # the second time its secret was not even sent


def test_a_viewer_may_look_and_is_told_what_it_may_not(machines: Machines) -> None:
    machines.start()
    joined = machines.newcomer("join", stdin=machines.invite("--role", "viewer"))
    assert (joined.returncode, joined.stderr) == (0, "")
    for arguments in (["ls"], ["nodes"], ["cost"]):
        assert machines.newcomer(*arguments).returncode == 0, arguments
    refused = machines.newcomer("submit", "x")
    assert refused.returncode == 1
    assert "viewer" in refused.stderr
    assert '"ok"' in machines.newcomer("doctor", "--only", "token", "--json").stdout


def test_one_name_is_one_machine(machines: Machines, tmp_path: Path) -> None:
    machines.start()
    first = machines.invite()
    assert machines.newcomer("join", "--name", "Rex", stdin=first).returncode == 0
    third = tmp_path / "third"
    third.mkdir(mode=0o700)
    twin = Mesh({**machines.newcomer.env, "MESH_HOME": str(third)})
    second = machines.invite()
    _registers(machines.newcomer, machines.url, "Rex", None)
    refused = twin("join", "--name", "Rex", stdin=second)
    assert refused.returncode == 1
    assert "a node called Rex reports now" in refused.stderr
    assert twin("join", "--name", "Ada", stdin=second).returncode == 0


def test_a_machine_that_joins_again_has_one_token(machines: Machines) -> None:
    machines.start()
    for _ in range(2):
        joined = machines.newcomer("join", "--name", "Rex", stdin=machines.invite())
        assert joined.returncode == 0, joined.stderr
    listed = json.loads(machines.hub("token", "list", "--json").stdout)
    mine = [token for token in listed if token["name"] == "Rex"]
    assert [bool(token["revoked_at"]) for token in mine] in ([True, False], [False, True])
    _registers(machines.newcomer, machines.url, "Rex", None)


def test_an_expired_invitation_is_told_before_its_secret_is_sent(machines: Machines) -> None:
    machines.start()
    token = asyncio.run(issue(machines.hub.home, Role.INVITE, ttl_s=0.001))
    text = f"mesh1.{machines.url}.plain.{token}"
    done = machines.newcomer("join", "--name", "Rex", stdin=text)
    assert done.returncode == 1
    assert "expired" in done.stderr
    assert not [x for x in machines.process.lines() if x.get("route") == "POST /v1/join"]


def test_an_invitation_for_one_name_is_not_good_for_another_and_stays_good(
    machines: Machines,
) -> None:
    machines.start()
    text = machines.invite("--name", "Rex")
    refused = machines.newcomer("join", "--name", "Archon", stdin=text)
    assert refused.returncode == 1
    assert "is for Rex" in refused.stderr
    assert machines.newcomer("join", stdin=text).returncode == 0


def test_an_operator_may_be_invited_and_then_commands(machines: Machines) -> None:
    machines.start()
    done = machines.newcomer("join", stdin=machines.invite("--role", "operator"))
    assert (done.returncode, done.stderr) == (0, "")
    listed = machines.newcomer("nodes")
    assert (listed.returncode, listed.stderr) == (0, "")


class Impostor:
    """A TLS server that keeps every byte it is told after the handshake."""

    def __init__(self, folder: Path) -> None:
        cert, key = self_signed(folder, "impostor")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(cert, key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self.heard = b""
        self.visits = 0
        self._thread = threading.Thread(target=self._serve, name="impostor")
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            with closing(raw):
                try:
                    with self._context.wrap_socket(raw, server_side=True) as tls:
                        self.visits += 1
                        while part := tls.recv(4096):
                            self.heard += part
                except OSError:
                    continue

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def impostor(tmp_path: Path) -> Iterator[Impostor]:
    found = Impostor(tmp_path)
    yield found
    found.close()


def test_a_server_with_another_certificate_hears_nothing_at_all(
    machines: Machines, impostor: Impostor
) -> None:
    done = machines.newcomer("join", stdin=f"mesh1.{impostor.url}.{PIN}.{SECRET}")
    assert done.returncode == 1
    assert "is not the one that invited you" in done.stderr
    assert "Nothing was sent" in done.stderr
    assert impostor.visits == 1
    assert impostor.heard == b""
    assert not (machines.newcomer.home / "mesh.toml").exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        f"mesh1.http://192.0.2.7:8420.plain.{SECRET}",
        f"mesh1.http://127.0.0.1.evil.example:8420.plain.{SECRET}",
        f"mesh1.http://localhost@evil.example.plain.{SECRET}",
        f"mesh1.https://hub.example.plain.{SECRET}",
        f"mesh1.http://127.0.0.1:8420.{PIN}.{SECRET}",
        f"mesh1.https://hub.example.{PIN}.{SECRET[:-1]}",
        f"mesh1.ftp://hub.example.{PIN}.{SECRET}",
        f"mesh2.https://hub.example.{PIN}.{SECRET}",
    ],
)
def test_what_is_no_safe_invitation_is_refused(text: str) -> None:
    with pytest.raises(InvitationError):
        read_invitation(text)


def test_nobody_is_invited_to_an_address_where_tokens_could_be_read(machines: Machines) -> None:
    machines.start()
    done = machines.hub("invite", "--url", "http://192.0.2.7:8420")
    assert done.returncode == 1
    assert "neither https nor this machine" in done.stderr
    assert done.stdout == ""


def test_a_machine_with_a_hub_of_its_own_does_not_join_another(machines: Machines) -> None:
    _configure(machines.newcomer, "[hub]\nrun = true\n")
    done = machines.newcomer("join", stdin=f"mesh1.http://127.0.0.1:1.plain.{SECRET}")
    assert done.returncode == 78
    assert "hub.run = false" in done.stderr


def test_joining_leaves_the_rest_of_the_configuration_as_it_was(machines: Machines) -> None:
    machines.start()
    mine = '# mine\n[agent]\nslots = 5  # five\n\n[hub] # old\nurl = "https://old.example"\n'
    _configure(machines.newcomer, mine)
    done = machines.newcomer("join", "--name", "Rex", stdin=machines.invite())
    assert (done.returncode, done.stderr) == (0, "")
    text = (machines.newcomer.home / "mesh.toml").read_text()
    assert "# mine" in text
    assert "slots = 5  # five" in text
    assert tomllib.loads(text) == {
        "agent": {"slots": 5, "run": True, "name": "Rex"},
        "hub": {"url": machines.url, "pin": ""},
    }


def test_a_value_of_several_lines_is_replaced_whole() -> None:
    text = '[hub]\nhosts = [\n  "a",  # old\n  "b",\n]\nurl = "u"\n[agent]\nslots = 3\n'
    changed = set_values(text, {"hub": {"hosts": ["c"]}})
    assert tomllib.loads(changed) == {"hub": {"hosts": ["c"], "url": "u"}, "agent": {"slots": 3}}


@pytest.mark.parametrize("text", ['hub.url = "x"\n', '["hub"]\nurl = "a"\n'])
def test_a_file_that_cannot_be_changed_safely_is_left_to_its_owner(text: str) -> None:
    with pytest.raises(SetUpError, match="by hand"):
        set_values(text, {"hub": {"url": "https://hub.example"}})


@pytest.mark.parametrize("name", ["../elsewhere", "a b", "", ".hidden", "x" * 65])
def test_a_name_that_cannot_be_a_machines_is_refused_by_the_hub(
    machines: Machines, name: str
) -> None:
    machines.start()
    done = machines.hub("invite", "--name", name)
    assert done.returncode == 1
    assert done.stdout == ""


def test_a_pinned_certificate_that_is_gone_is_told_and_nobody_else_is_trusted(
    machines: Machines,
) -> None:
    _configure(machines.newcomer, f'[hub]\nurl = "https://127.0.0.1:1"\npin = "{PIN}"\n')
    done = machines.newcomer("nodes", env={"MESH_TOKEN": SECRET})
    assert done.returncode == 78
    assert "hub-cert.pem cannot be used" in done.stderr
    assert "mesh join" in done.stderr
