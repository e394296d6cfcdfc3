"""`python -m imsgd.simulated`: a Messages to try the mesh with where there is none."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from common.errors import EXIT_OK, MeshError
from common.proc import stop_on_signals
from imsgd.simulated.client import command, follow
from imsgd.simulated.modes import Mode
from imsgd.simulated.schema import Release
from imsgd.simulated.server import serving
from imsgd.simulated.world import TAPBACK_TYPES, Shape

OWNER = "+15555550100"
"""A number set aside for fiction."""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        _run(arguments)
    except MeshError as error:
        sys.stderr.write(f"{error.message}\n")
        return error.exit_code
    except (KeyboardInterrupt, BrokenPipeError):
        pass
    return EXIT_OK


def _run(arguments: argparse.Namespace) -> None:
    folder: Path = arguments.dir
    match arguments.command:
        case "serve":
            asyncio.run(_serve(arguments))
        case "text":
            options = {
                "text": arguments.text,
                "sender": arguments.sender,
                "chat": arguments.chat,
                "reply_to": arguments.reply_to,
            }
            _print(command(folder, "text", **options))
        case "tapback":
            options = {"guid": arguments.on, "kind": arguments.kind, "remove": arguments.remove}
            _print(command(folder, "tapback", sender=arguments.sender, **options))
        case "mode":
            _print(command(folder, "mode", name=arguments.name, times=arguments.times))
        case "shape":
            _print(command(folder, "shape", shape=arguments.shape))
        case "tail":
            for bubble in follow(folder, after=arguments.after):
                if arguments.json:
                    _print(bubble)
                elif not bubble["copy"]:
                    arrow = ">" if bubble["direction"] == "in" else "<"
                    sys.stdout.write(f"{arrow} {bubble['text']}\n")
                    sys.stdout.flush()


async def _serve(arguments: argparse.Namespace) -> None:
    signals = stop_on_signals(asyncio.get_running_loop())
    release = Release[arguments.release.upper()]
    async with serving(
        arguments.dir, owner=arguments.owner, own=arguments.own, release=release
    ) as server:
        server.world.shape = Shape(arguments.shape)
        folder = arguments.dir.absolute()
        _print(
            {
                "ready": True,
                "chat_db": str(folder / "chat.db"),
                "osascript": str(folder / "osascript"),
                "owner": arguments.owner,
                "own": arguments.own,
            }
        )
        waits = [
            asyncio.create_task(event.wait(), name="end") for event in (signals.first, server.stop)
        ]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()


def _print(record: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m imsgd.simulated", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text)
        sub.add_argument("--dir", type=Path, required=True, help="where chat.db is")
        return sub

    serve = add("serve", "be Messages until SIGTERM; prints one line when ready")
    serve.add_argument("--owner", default=OWNER, help="whose phone texts")
    serve.add_argument(
        "--own", action="append", default=[], help="an address of the Mac itself; repeatable"
    )
    serve.add_argument("--shape", choices=[shape.value for shape in Shape], default="A")
    serve.add_argument(
        "--release", choices=[release.name.lower() for release in Release], default="tahoe"
    )
    text = add("text", "write a text as the phone")
    text.add_argument("text")
    text.add_argument("--sender", help="who writes; the owner by default")
    text.add_argument("--chat", help="guid of the chat; the sender's by default")
    text.add_argument("--reply-to", help="guid of the message answered inline")
    tapback = add("tapback", "react to a message")
    tapback.add_argument("kind", choices=list(TAPBACK_TYPES))
    tapback.add_argument("--on", required=True, help="guid of the message")
    tapback.add_argument("--sender")
    tapback.add_argument("--remove", action="store_true", help="take the reaction back")
    mode = add("mode", "decide how sends end")
    mode.add_argument("name", choices=[mode.value for mode in Mode])
    mode.add_argument("--times", type=int, help="only that many; all by default")
    shape = add("shape", "decide which rows a text to oneself leaves")
    shape.add_argument("shape", choices=[shape.value for shape in Shape])
    tail = add("tail", "print the conversation as it grows")
    tail.add_argument("--json", action="store_true", help="one JSON object a line")
    tail.add_argument("--after", type=int, default=0, help="only rows with a higher number")
    return parser


if __name__ == "__main__":
    sys.exit(main())
