"""Every verb on a real hub with a real agent: what is printed, and how it exits."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.contract.cli.conftest import MESH, Mesh, until

pytestmark = pytest.mark.xdist_group("cli verbs")


def submitted(mesh: Mesh, *arguments: str) -> int:
    task: int = mesh.json("submit", *arguments)["id"]
    return task


def test_submit_and_wait_prints_the_result_and_nothing_else_on_stdout(running: Mesh) -> None:
    done = running("submit", "--wait", "say", "hello")

    assert done.returncode == 0, done.stderr
    assert done.stdout == "rehearsal: no model ran. I was asked: say hello\n"
    assert re.search(r"#\d+ done, \d+s, \$0\.00, Rex", done.stderr)


def test_submit_reads_the_prompt_from_stdin(running: Mesh) -> None:
    done = running("submit", "--wait", "-", stdin="from a pipe\n")

    assert done.stdout == "rehearsal: no model ran. I was asked: from a pipe\n"


def test_submit_and_wait_fails_when_the_task_fails(running: Mesh) -> None:
    done = running("submit", "--wait", "[rehearse: fail] this")

    assert done.returncode == 1
    assert "It was told to fail" in done.stderr
    assert done.stdout == ""


def test_submit_and_wait_as_json_is_one_document(running: Mesh) -> None:
    task = running.json("submit", "--wait", "say", "hello")

    assert task["state"] == "succeeded"
    assert task["result"].endswith("say hello")
    assert len(task["attempts"]) == 1


def test_options_reach_the_task(running: Mesh) -> None:
    task = running.json(
        *("submit", "do it", "--to", "researcher", "--on", "rex", "--low", "--ask"),
        *("--title", "A title", "--max-cost", "1.5", "--timeout-s", "60"),
    )

    wanted = {
        "specialist": "researcher",
        "pinned_node": "Rex",
        "priority": "low",
        "title": "A title",
        "max_cost_usd": 1.5,
        "timeout_s": 60.0,
        "state": "waiting_approval",
    }
    assert {key: task[key] for key in wanted} == wanted
    running.ok("cancel", str(task["id"]))


def test_the_same_key_makes_one_task(running: Mesh) -> None:
    first = submitted(running, "once", "--key", "k-1")

    assert submitted(running, "once", "--key", "k-1") == first


def test_an_asked_task_waits_for_approve(running: Mesh) -> None:
    task = running.json("submit", "--ask", "delete it")
    code = task["approval_code"]
    assert code in running.ok("pending")

    said = running.ok("approve", code.lower())

    assert said == f"#{task['id']} approved ({code}): delete it\n"
    until(lambda: running.state_of(task["id"]) == "succeeded")
    again = running("approve", code)
    assert again.returncode == 1
    assert again.stderr.count("\n") == 1


def test_deny_without_a_code_answers_the_only_question(running: Mesh) -> None:
    task = submitted(running, "--ask", "delete it")

    running.ok("deny")

    assert running.state_of(task) == "denied"
    assert running.ok("pending") == "Nothing waits for an answer.\n"
    assert running("deny").stderr == "mesh: Nothing waits for an answer.\n"


def test_a_yes_to_a_high_risk_names_its_code(running: Mesh) -> None:
    task = submitted(running, "--ask", "sudo rm -rf /nothing")
    bare = running("approve")
    assert bare.returncode == 1
    assert "High risk, so say which: mesh approve " in bare.stderr
    assert running.state_of(task) == "waiting_approval"
    assert running("deny").returncode == 0


def test_what_a_person_types_as_a_name_leads_nowhere_else(running: Mesh) -> None:
    for arguments in (
        ["resume", "../nodes/Rex"],
        ["approve", "../hold"],
        ["approve", "#1"],
        ["approve", ".."],
        ["drain", "Rex/../Rex"],
    ):
        refused = running(*arguments)
        assert refused.returncode == (2 if arguments[0] == "drain" else 1), arguments
        assert "unknown field" not in refused.stderr
        assert "does not take this method" not in refused.stderr


def test_of_several_tasks_each_is_stopped_that_can_be(running: Mesh) -> None:
    task = submitted(running, "--ask", "wait for me")
    stopped = running("cancel", str(task), "999")
    assert stopped.returncode == 1
    assert f"#{task} stopped" in stopped.stdout
    assert "999" in stopped.stderr


@pytest.mark.parametrize("amount", ["nan", "inf", "0", "-1"])
def test_what_is_no_amount_is_refused(running: Mesh, amount: str) -> None:
    assert running("submit", "x", "--max-cost", amount).returncode == 2


def test_of_several_questions_one_must_be_named(running: Mesh) -> None:
    tasks = [running.json("submit", "--ask", f"thing {n}") for n in (1, 2)]

    done = running("approve")

    assert done.returncode == 1
    assert "2 questions wait, so say which one" in done.stderr
    assert all(task["approval_code"] in done.stderr for task in tasks)
    for task in tasks:
        running.ok("deny", task["approval_code"], "not", "today")
        assert running.json("show", str(task["id"]))["approvals"][0]["note"] == "not today"


def test_a_question_from_a_running_task_is_answered_by_number(running: Mesh) -> None:
    waiting = running.start("submit", "--wait", "[rehearse: question] paint it")
    question = until(lambda: running.ask("/v1/approvals?state=pending")["approvals"])[0]

    running.ok("approve", question["code"], "--answer", "2")

    out, _ = waiting.communicate(timeout=30)
    assert waiting.returncode == 0
    assert "You said yes: Red." in out


def test_cancel_ends_a_running_task(running: Mesh) -> None:
    task = submitted(running, "[rehearse: 60s] long")
    until(lambda: running.state_of(task) == "running")

    running.ok("cancel", f"#{task}")

    until(lambda: running.state_of(task) == "cancelled")


def test_cancel_all_ends_everything(running: Mesh) -> None:
    tasks = [submitted(running, f"[rehearse: 60s] {n}") for n in range(3)]

    running.ok("cancel", "--all")

    until(lambda: all(running.state_of(task) == "cancelled" for task in tasks))
    assert running.ok("ls") == "Nothing waits or runs.\n"


def test_interrupting_wait_leaves_the_task_running(running: Mesh) -> None:
    waiting = running.start("submit", "--wait", "[rehearse: 60s] long")
    task = until(lambda: running.ask("/v1/tasks?state=running")["tasks"])[0]["id"]

    waiting.send_signal(signal.SIGINT)

    _, error = waiting.communicate(timeout=20)
    assert waiting.returncode == 130
    assert f"#{task} goes on. mesh watch {task} shows it again." in error
    assert running.state_of(task) == "running"
    running.ok("cancel", str(task))


def test_retry_makes_a_new_task(running: Mesh) -> None:
    task = submitted(running, "again")
    until(lambda: running.state_of(task) == "succeeded")

    retried = running.json("retry", str(task))

    assert retried["retry_of"] == task
    assert retried["id"] != task


def test_hold_keeps_a_task_waiting_and_why_says_so(running: Mesh) -> None:
    running.ok("hold", "moving", "house")
    task = submitted(running, "later")

    assert "hold" in running.ok("why", str(task)).lower()
    assert "On hold (moving house)" in running.ok("status")
    running.ok("go")
    until(lambda: running.state_of(task) == "succeeded")


def test_a_drained_node_takes_no_work_until_undrained(running: Mesh) -> None:
    assert running.ok("drain", "rex", "--for", "2h", "on", "a", "train") == (
        "Rex finishes its work and takes no more.\n"
    )
    assert "draining (on a train)" in running.ok("nodes")
    task = submitted(running, "later")
    assert "drain" in running.ok("why", str(task))

    running.ok("undrain", "rex")

    until(lambda: running.state_of(task) == "succeeded")


def test_a_breaker_is_reset_by_name(running: Mesh) -> None:
    assert running.ok("reset", "rex") == "Rex has a closed breaker.\n"


def test_say_is_a_text(running: Mesh) -> None:
    assert "/2 ready" in running.ok("say", "nodes")


def test_cost_sums_what_ran(running: Mesh) -> None:
    task = submitted(running, "cheap")
    until(lambda: running.state_of(task) == "succeeded")

    assert running.ok("cost").splitlines()[-1].split()[:2] == ["total", "$0.00"]
    rows = running.json("cost", "week", "--by", "node")["rows"]
    assert [row["key"] for row in rows] == ["Rex"]


def test_agents_lists_the_bench(running: Mesh) -> None:
    bench = running.json("agents")

    assert len(bench) == 19
    assert bench["researcher"] == ["Rex"]


def test_lists_narrow(running: Mesh) -> None:
    task = submitted(running, "a", "very", "special", "thing")
    until(lambda: running.state_of(task) == "succeeded")

    found = running.json("ls", "--all", "--search", "very special")["tasks"]

    assert [entry["id"] for entry in found] == [task]
    assert f"#{task}" in running.ok("ls", "--state", "finished", "--node", "Rex")


def test_hostile_text_is_shown_as_text(running: Mesh) -> None:
    task = submitted(running, "--title", "[red]x[/] \x1b]0;owned\x07 \u202eevil", "x")

    shown = running.ok("ls", "--all", "--limit", "5")

    assert "[red]x[/]" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    until(lambda: running.state_of(task) == "succeeded")


def test_tokens_are_issued_listed_and_revoked_through_the_hub(running: Mesh) -> None:
    token = running.ok("token", "new", "--role", "viewer", "--name", "wall").strip()
    assert running.ok("nodes", MESH_TOKEN=token)
    refused = running("hold", MESH_TOKEN=token)
    assert refused.returncode == 1
    (listed,) = [item for item in running.json("token", "list") if item["name"] == "wall"]

    running.ok("token", "revoke", listed["id"])

    revoked = running("nodes", MESH_TOKEN=token)
    assert revoked.returncode == 1
    assert revoked.stderr.startswith("mesh: ")
    assert revoked.stderr.count("\n") == 1


def test_a_revoked_operator_makes_a_new_token_on_the_hubs_machine(running: Mesh) -> None:
    unknown = f"mesh_operator_000000000000_{'x' * 43}"

    assert running.ok("token", "new", "--role", "viewer", MESH_TOKEN=unknown)


def test_status_is_well_and_says_what_runs(running: Mesh) -> None:
    status = running.json("status")

    assert status["well"] is True
    assert set(status["daemons"]) == {"hubd", "agentd"}
    assert status["nodes"][0]["name"] == "Rex"


def test_version_names_the_hub(running: Mesh) -> None:
    found = running.json("version")

    assert found["hub"] == found["version"]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["show", "999999"], 1, "999999"),
        (["show", "abc"], 2, "'abc' is no task"),
        (["cancel"], 2, "Say which tasks, or --all"),
        (["submit", " "], 2, "The prompt is empty"),
        (["submit", "x", "--on", "no such/node"], 1, "node"),
        (["ls", "--state", "nonsense"], 1, "nonsense"),
        (["cost", "yesterday"], 2, "'yesterday' is no period"),
        (["drain", "Rex", "--for", "soon"], 2, "'soon' is no time"),
        (["submit", "x", "--on", "Nope"], 2, "No node is called Nope"),
        (["submit", "x", "--on", "Reks"], 2, "did you mean Rex?"),
        (["submit", "x", "--to", "reseacher"], 2, "did you mean researcher?"),
        (["submit", "x", "--requires", "no-such-label"], 2, "label is called no-such-label"),
        (["submit", "x", "--key", "schlüssel"], 2, "plain ASCII"),
        (["submit", "x", "--continue", "999999"], 1, "#999999"),
        (["drain", "nobody"], 2, "nobody"),
        (["undrain", "Rexx"], 2, "did you mean Rex?"),
        (["reset", "nobody"], 2, "nobody"),
        (["approve", "ZZ"], 1, "ZZ"),
        (["resume", "nobody"], 1, "no account is called nobody"),
        (["down", "imsgd"], 1, "imsgd does not run on this machine"),
        (["token", "new", "--role", "node"], 2, "bound to its name"),
        (["tokn"], 2, "Did you mean: mesh token?"),
        (["restore", "/nowhere/hub.db"], 1, "/nowhere/hub.db does not exist"),
    ],
)
def test_bad_input_is_answered_in_a_sentence(
    running: Mesh, arguments: list[str], code: int, sentence: str
) -> None:
    done = running(*arguments)

    assert done.returncode == code, done.stderr
    assert sentence in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"\xff", "byte 1 is 0xff"),
        ("häßlich".encode("latin-1"), "no UTF-8 text"),
        ("text".encode("utf-16"), "no UTF-8 text"),
        (b"do\0it", "NUL"),
        (b"x" * 200_001, "200,000 characters"),
        (b"\xff" * 900_000, "200,000 characters"),
        (b" \n", "The prompt is empty"),
    ],
)
def test_stdin_that_is_no_prompt_is_refused_in_a_sentence(
    running: Mesh, raw: bytes, sentence: str
) -> None:
    done = bytes_run(running, ["submit", "-"], raw)

    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def bytes_run(
    mesh: Mesh, arguments: list[str | bytes], raw: bytes = b"", **env: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*MESH, *arguments], env={**mesh.env, **env}, input=raw, capture_output=True, timeout=50,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ["submit", b"\xff"],
        ["submit", "x", "--title", b"\xff"],
        ["submit", "x", "--on", b"\xff"],
        ["say", b"\xff"],
        ["ls", "--search", b"\xff"],
        ["deny", "K7", b"\xff"],
        ["hold", b"\xff"],
        [b"\xff"],
    ],
)
def test_an_argument_that_is_no_text_is_refused_in_a_sentence(
    running: Mesh, arguments: list[str | bytes]
) -> None:
    done = bytes_run(running, arguments)

    assert done.returncode == 2, done.stderr
    assert b"is no UTF-8 text" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "env",
    [
        {"LANG": "C", "LC_ALL": "C"},
        {"LANG": "C", "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
)
def test_a_poor_locale_changes_signs_and_breaks_nothing(running: Mesh, env: dict[str, str]) -> None:
    for arguments in (["ls", "--all"], ["nodes"], ["status"], ["show", "1"], ["help-me"]):
        done = bytes_run(running, arguments, **env)
        assert b"Traceback" not in done.stderr, done.stderr
    assert json.loads(bytes_run(running, ["ls", "--all", "--json"], **env).stdout)["tasks"]


@pytest.mark.parametrize("redirected", [">&-", "> /dev/full", "2>&-", "<&- >&- 2>&-", "| true"])
def test_output_that_goes_nowhere_is_no_traceback(running: Mesh, redirected: str) -> None:
    if "full" in redirected and not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    script = f'"$@" {redirected}'
    for arguments in (["status"], ["ls", "--all", "--json"], ["show", "999999"], ["--help"]):
        done = subprocess.run(
            ["sh", "-c", script, "sh", *MESH, *arguments], env=running.env, capture_output=True,
            timeout=50, check=False,
        )  # fmt: skip
        assert b"Traceback" not in done.stderr, done.stderr
        assert b"Exception ignored" not in done.stderr, done.stderr


def test_a_closed_stdin_is_no_prompt(running: Mesh) -> None:
    done = subprocess.run(
        ["sh", "-c", '"$@" <&-', "sh", *MESH, "submit", "-"], env=running.env,
        capture_output=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert b"Traceback" not in done.stderr


def test_a_reader_that_has_enough_is_no_error(running: Mesh) -> None:
    listing = running.start("config", "show", "--json")
    assert listing.stdout is not None
    listing.stdout.close()

    _, error = listing.communicate(timeout=20)

    assert "Traceback" not in error
    assert "Exception" not in error


def test_json_is_valid_wherever_it_is_offered(running: Mesh) -> None:
    for arguments in (["status"], ["ls"], ["nodes"], ["pending"], ["cost"], ["config", "show"]):
        assert json.loads(running.ok(*arguments, "--json")) is not None
