"""TLS by the hub itself, with the client that pins its certificate."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from common.client import OperatorApi, follow_hub
from common.wire.events import Snapshot
from hubd.server import Address, find_tls, refuse_open_bind
from tests.contract.hubd.harness import local_hub


def _certificate(folder: Path) -> dict[str, str]:
    """A self-signed certificate as `mesh init` would make one; the settings that name it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mesh hub")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return {"MESH_HUB__TLS_CERT": str(cert_file), "MESH_HUB__TLS_KEY": str(key_file)}


async def test_calls_and_streams_work_over_tls_and_nothing_else_is_spoken(
    mesh_home: Path, tmp_path: Path
) -> None:
    env = _certificate(tmp_path)
    async with local_hub(mesh_home, env) as hub:
        assert hub.url.startswith("https://")
        hub.ca_file = tmp_path / "cert.pem"
        async with await hub.client() as client:
            assert (await OperatorApi(client).nodes()).nodes == []
            feed = follow_hub(client)
            assert isinstance(await anext(feed), Snapshot)
            await feed.aclose()
            assert client.raw.headers["Authorization"]
        async with httpx.AsyncClient(trust_env=False) as plain:
            with pytest.raises(httpx.TransportError):
                await plain.get(hub.url.replace("https", "http") + "/healthz")


async def test_old_tls_is_refused(mesh_home: Path, tmp_path: Path) -> None:
    async with local_hub(mesh_home, _certificate(tmp_path)) as hub:
        context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        context.check_hostname = False
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        async with httpx.AsyncClient(verify=context, trust_env=False) as client:
            with pytest.raises(httpx.TransportError):
                await client.get(hub.url + "/healthz")


def test_with_tls_other_machines_may_reach_it(tmp_path: Path) -> None:
    env = _certificate(tmp_path)
    tls = find_tls(env["MESH_HUB__TLS_CERT"], env["MESH_HUB__TLS_KEY"])
    refuse_open_bind(Address.parse("0.0.0.0:8420"), tls)
    refuse_open_bind(Address.parse("[::]:8420"), tls)
