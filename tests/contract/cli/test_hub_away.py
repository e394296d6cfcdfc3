"""What a person reads when there is no hub, no token, or no good configuration."""

from __future__ import annotations

import pytest

from common.paths import make_private_dir, write_private_file
from tests.contract.cli.conftest import Mesh, free_port


@pytest.fixture
def lonely(mesh: Mesh) -> Mesh:
    """A configured machine whose hub does not run, and never did."""
    write_private_file(
        mesh.home / "mesh.toml",
        f'[hub]\nrun = true\nbind = "127.0.0.1:{free_port()}"\n[agent]\nrun = true\nname = "Rex"\n',
    )
    make_private_dir(mesh.home / "tokens")
    write_private_file(mesh.home / "tokens/operator.token", f"mesh_operator_0_{'x' * 43}\n")
    return mesh


def sentence(mesh: Mesh, *arguments: str, code: int, **env: str) -> str:
    """The one line on stderr of a command that fails with `code`."""
    done = mesh(*arguments, **env)
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("mesh: ")
    return done.stderr


@pytest.mark.parametrize(
    "arguments", [["ls"], ["submit", "x"], ["nodes"], ["approve"], ["cost"], ["say", "status"]]
)
def test_a_hub_that_is_away_is_named_with_the_remedy(lonely: Mesh, arguments: list[str]) -> None:
    said = sentence(lonely, *arguments, code=1)

    assert "no answer from the hub at http://127.0.0.1:" in said
    assert "mesh status" in said


def test_without_a_token_it_says_how_to_get_one(mesh: Mesh) -> None:
    said = sentence(mesh, "ls", code=78)

    assert "mesh token new --role operator" in said


def test_a_token_file_others_may_read_is_refused(lonely: Mesh) -> None:
    file = lonely.home / "tokens/operator.token"
    file.chmod(0o644)

    assert f"chmod 600 {file}" in sentence(lonely, "ls", code=78)


def test_an_unknown_key_is_named_with_the_nearest_one(lonely: Mesh) -> None:
    with (lonely.home / "mesh.toml").open("a") as file:
        file.write("\n[tui]\nthemes = 'x'\n")

    for arguments in (["config", "check"], ["ls"], ["up"], ["init", "--yes"]):
        said = sentence(lonely, *arguments, code=78)
        assert "unknown key tui.themes. Did you mean theme?" in said


def test_an_override_of_the_environment_is_checked_as_well(lonely: Mesh) -> None:
    assert "MESH_AGENT__SLOTS" in sentence(
        lonely, "config", "check", code=78, MESH_AGENT__SLOTS="many"
    )


def test_tokens_work_on_the_database_when_the_hub_is_away(lonely: Mesh) -> None:
    token = lonely.ok("token", "new", "--role", "viewer", "--name", "wall").strip()

    assert token.startswith("mesh_viewer_")
    (row,) = [item for item in lonely.json("token", "list") if item["name"] == "wall"]
    lonely.ok("token", "revoke", row["id"])
    (row,) = [item for item in lonely.json("token", "list") if item["name"] == "wall"]
    assert row["state"] == "revoked"


def test_the_first_token_of_all_needs_no_configuration(mesh: Mesh) -> None:
    assert mesh.ok("token", "new", "--role", "operator").startswith("mesh_operator_")


def test_tokens_are_not_made_on_a_machine_without_the_hub(mesh: Mesh) -> None:
    mesh.ok("init", "--yes", "--hub-url", f"http://127.0.0.1:{free_port()}", "--name", "Rex")

    said = sentence(mesh, "token", "new", "--role", "viewer", code=78)

    assert "run this on the hub's own machine" in said
    assert not (mesh.home / "hub.db").exists()


def test_an_address_that_is_no_hub_is_told(lonely: Mesh) -> None:
    said = sentence(lonely, "ls", code=78, MESH_HUB_URL="ftp://hub")

    assert "must begin with http:// or https://" in said


def test_config_show_names_the_origin_and_hides_the_runners_environment(lonely: Mesh) -> None:
    shown = lonely.ok(
        "config", "show", "--origin", "--changed", MESH_AGENT__ENV="{ KEY = 'hush-hush' }"
    )

    assert "MESH_AGENT__ENV" in shown
    assert "hush-hush" not in shown
    assert "KEY" in shown
    assert "mesh.toml" in shown


def test_status_works_without_a_hub(lonely: Mesh) -> None:
    done = lonely("status")

    assert done.returncode == 1
    assert done.stdout.splitlines()[:2] == [
        "hubd does not run. mesh up starts it",
        "agentd does not run. mesh up starts it",
    ]
    assert "no answer from the hub" in done.stderr
