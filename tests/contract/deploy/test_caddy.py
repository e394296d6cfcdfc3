"""The real Caddy with the Caddyfile of deploy/, in front of the real hub, over HTTPS."""

from __future__ import annotations

import asyncio
import tomllib
from contextlib import aclosing
from pathlib import Path

import httpx

from common.client import Credentials, HubClient, LinkUp, NodeApi, OperatorApi, Secret, follow_hub
from common.client.feed import KEEPALIVE_S
from common.link import LinkLost
from common.supervise import Backoff
from common.wire.admin import Role
from common.wire.events import Event, Snapshot
from common.wire.nodes import Claim, Heartbeat, RegisterNode
from common.wire.tasks import SubmitTask
from tests.contract.cli_ops.conftest import Mesh
from tests.contract.deploy.conftest import Front


def _credentials(front: Front, token: str) -> Credentials:
    return Credentials(front.url, Secret(token), front.root)


def test_health_is_answered_over_https_and_nothing_tells_what_serves_it(front: Front) -> None:
    answer = httpx.get(f"{front.url}/healthz", verify=front.context, trust_env=False)
    assert answer.json() == {"status": "ok"}
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    assert "hypercorn" not in str(answer.headers).lower()


def test_plain_http_is_refused_and_leads_nowhere(front: Front) -> None:
    answer = httpx.get(f"{front.url.replace('https', 'http')}/healthz", trust_env=False)
    assert answer.status_code == 400
    assert "location" not in answer.headers


def test_the_door_is_the_hubs_own(front: Front) -> None:
    with httpx.Client(base_url=front.url, verify=front.context, trust_env=False) as client:
        assert client.get("/v1/snapshot").status_code == 401
        big = client.post(
            "/v1/tasks",
            json={"prompt": "x" * 2_000_000},
            headers={"Authorization": f"Bearer {front.token(Role.OPERATOR)}"},
        )
        assert big.status_code == 413


async def test_state_and_events_come_through_at_once(front: Front) -> None:
    token = await asyncio.to_thread(front.token, Role.OPERATOR)
    async with HubClient(_credentials(front, token)) as client:
        operator = OperatorApi(client)
        async with aclosing(follow_hub(client)) as feed:
            assert isinstance(await anext(feed), Snapshot)
            assert isinstance(await anext(feed), LinkUp)
            for number in range(3):  # each is seen before the next is caused: nothing is held back
                prompt = SubmitTask(prompt=f"task {number}")
                task = await operator.submit(prompt, idempotency_key=str(number))
                async with asyncio.timeout(10):
                    event = await anext(feed)
                    while not (isinstance(event, Event) and event.key == str(task.id)):
                        event = await anext(feed)


async def test_a_long_poll_is_woken_through_it(front: Front) -> None:
    node_token = await asyncio.to_thread(front.token, Role.NODE, "Rex")
    operator_token = await asyncio.to_thread(front.token, Role.OPERATOR)
    async with (
        HubClient(_credentials(front, node_token)) as node_client,
        HubClient(_credentials(front, operator_token)) as operator_client,
    ):
        node = NodeApi(node_client, "Rex")
        await node.register(RegisterNode(slots=1))
        await node.heartbeat(Heartbeat())
        claiming = asyncio.create_task(node.claim(Claim(free_slots=1, wait_s=30)), name="claim")
        task = SubmitTask(prompt="hello")
        await OperatorApi(operator_client).submit(task, idempotency_key="one")
        async with asyncio.timeout(10):
            (lease,) = (await claiming).leases
        assert lease.task.prompt == "hello"


async def test_a_follower_goes_on_when_the_hub_behind_it_is_restarted(front: Front) -> None:
    token = await asyncio.to_thread(front.token, Role.OPERATOR)
    async with HubClient(_credentials(front, token)) as client:
        backoff = Backoff(first_s=0.05, cap_s=0.2)
        async with aclosing(follow_hub(client, backoff=backoff)) as feed:
            while not isinstance(await anext(feed), LinkUp):
                pass
            stopped, seconds = await asyncio.to_thread(front.hub.stop)
            assert stopped == 0
            assert seconds < 5  # a stream was open through Caddy
            assert isinstance(await anext(feed), LinkLost)
            await asyncio.to_thread(front.hub.start)
            async with asyncio.timeout(20):
                while not isinstance(await anext(feed), LinkUp):
                    pass


def _machine(clean_env: dict[str, str], home: Path) -> Mesh:
    home.mkdir(mode=0o700)
    return Mesh({**clean_env, "MESH_HOME": str(home)})


def test_a_machine_joins_through_it_pinned_only_where_nobody_vouches(
    front: Front, clean_env: dict[str, str], tmp_path: Path
) -> None:
    vouched = {"SSL_CERT_FILE": str(front.root)}
    hub = Mesh({**clean_env, "MESH_HOME": str(front.hub.home)})
    tokens = front.hub.home / "tokens"
    tokens.mkdir(mode=0o700)
    (tokens / "operator.token").write_text(front.token(Role.OPERATOR))
    (tokens / "operator.token").chmod(0o600)

    for name, env, pinned in (("Rex", {}, True), ("Crucible", vouched, False)):
        invited = hub("invite", "--name", name, env=vouched)
        assert invited.stdout.startswith(f"mesh1.{front.url}."), invited.stderr
        newcomer = _machine(clean_env, tmp_path / name)
        joined = newcomer("join", stdin=invited.stdout, env=env)
        assert (joined.returncode, joined.stderr) == (0, "")
        config = tomllib.loads((newcomer.home / "mesh.toml").read_text())
        assert bool(config["hub"]["pin"]) is pinned
        checked = newcomer("doctor", "--only", "hub", "--only", "tls", "--only", "token", env=env)
        assert checked.returncode == 0, checked.stdout


async def test_a_reader_that_goes_leaves_no_stream_behind_at_the_hub(front: Front) -> None:
    token = await asyncio.to_thread(front.token, Role.OPERATOR)
    headers = {"Authorization": f"Bearer {token}"}
    options = {"verify": front.context, "trust_env": False, "headers": headers}
    async with httpx.AsyncClient(base_url=front.url, **options) as client:  # type: ignore[arg-type]
        for _ in range(3):
            async with client.stream("GET", "/v1/events") as response:
                assert response.status_code == 200

        async def open_streams() -> float:
            page = (await client.get("/metrics")).text
            (line,) = [x for x in page.splitlines() if x.startswith("mesh_streams")]
            return float(line.split()[-1])

        # Sooner than the hub's next sign of life, at which even a stream nobody reads would end.
        async with asyncio.timeout(KEEPALIVE_S - 1):
            while await open_streams() > 0:
                pass
