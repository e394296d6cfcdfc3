"""Run the model API by itself: `python -m tests.fakes.model_api [--port N]`.

Prints its address as the first line of stdout, then serves until SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import asyncio
import signal

from tests.fakes.model_api.server import serve_model_api


async def run(port: int) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with serve_model_api(port) as api:
        print(api.url, flush=True)  # noqa: T201
        await stopped.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A scripted model API on loopback.")
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(run(parser.parse_args().port))
