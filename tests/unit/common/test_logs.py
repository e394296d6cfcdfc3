"""Log lines are JSON and never hold a token."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from common.logs import log_to_stderr


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    log_to_stderr("hubd", stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def test_extra_fields_become_keys_of_one_line(stream: io.StringIO) -> None:
    logging.getLogger("hubd.x").info("task leased", extra={"task": 42, "note": "a\nb"})
    line = json.loads(stream.getvalue())
    assert line["event"] == "task leased"
    assert (line["program"], line["task"], line["note"]) == ("hubd", 42, "a\nb")
    assert stream.getvalue().count("\n") == 1


def test_a_token_that_slips_into_a_traceback_is_redacted(stream: io.StringIO) -> None:
    token = "mesh_operator_ab12_" + "x" * 43
    try:
        raise ValueError(f"bad header {token}")
    except ValueError:
        logging.getLogger("hubd.x").exception("request failed")
    assert token not in stream.getvalue()
    assert "mesh_[redacted]" in stream.getvalue()
