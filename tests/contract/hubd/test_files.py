"""A file's name on its whole way: the bridge's call, the hub, the node's call. `file_names`."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentd.attachments import fetch
from common.client import BridgeApi, NodeApi
from common.wire.admin import Role
from tests.contract.hubd.harness import local_hub

SENT = [
    ("sales.csv", "text/csv", "sales.csv"),
    ("Voice 3", "audio/mp4", "Voice 3.m4a"),
    ('Übersicht; 日本 "x" 100%.pdf', "application/pdf", 'Übersicht; 日本 "x" 100%.pdf'),
    ("../../.ssh/config", "text/plain", "config.txt"),
    ("a\r\nSet-Cookie: x=1", "application/octet-stream", "a  Set-Cookie: x=1"),
    ("n" * 251 + ".csv", "text/csv", "n" * 196 + ".csv"),
]


@pytest.mark.parametrize(("name", "media_type", "arrives"), SENT)
async def test_a_file_keeps_its_name_from_the_bridge_to_the_work_folder(
    tmp_path: Path, name: str, media_type: str, arrives: str
) -> None:
    home, folder = tmp_path / "hub", tmp_path / "work"
    home.mkdir(mode=0o700)
    folder.mkdir()
    async with (
        local_hub(home) as hub,
        await hub.client(Role.BRIDGE) as bridge,
        await hub.client(Role.NODE, "Rex") as node,
    ):
        file_id = await BridgeApi(bridge).put_file(b"bytes", name=name, media_type=media_type)
        assert await fetch(NodeApi(node, "Rex"), [file_id], folder) == [f"attachments/{arrives}"]
    assert (folder / "attachments" / arrives).read_bytes() == b"bytes"
