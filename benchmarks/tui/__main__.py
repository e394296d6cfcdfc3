"""`python -m benchmarks.tui` prints the control centre's figures; fails when one misses."""

from __future__ import annotations

import argparse
import statistics
import sys
import time

from benchmarks.tui.terminal import Terminal

CPU_TARGET = 10.0
PAINT_TARGET_MS = 50.0
START_TARGET_S = 0.6
MEMORY_TARGET_MB = 120.0
LOAD = ("benchmarks.tui.load",)
BARE = ("benchmarks.tui.bare",)
FROM_THE_EDGE = 25
"""A key that cannot move the cursor any further paints nothing that could be waited for."""
CURSOR = "▌".encode()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _start(rounds: int) -> bool:
    """Turn about with the baseline, so that both meet the same machine."""
    times, bare = [], []
    for _ in range(rounds):
        for module, found in ((("tui", "--demo"), times), (BARE, bare)):
            with Terminal(*module) as terminal:
                found.append(terminal.read_until(b"Needs you"))
    times.sort()
    middle, least = statistics.median(times), statistics.median(bare)
    _say(
        f"{'start':16} {middle:.2f} s to the first paint, {times[0]:.2f} to {times[-1]:.2f} over "
        f"{rounds} starts (target {START_TARGET_S} s); a bare Textual app {least:.2f} s: "
        f"{middle / least:.1f} times"
    )
    return middle > START_TARGET_S


def _load(seconds: float, keys: int) -> bool:
    with Terminal(*LOAD) as terminal:
        terminal.read_until(b"5000")
        terminal.drain(3.0)
        used, began = sum(terminal.usage.cpu_times()[:2]), time.perf_counter()
        terminal.drain(seconds)
        watched = time.perf_counter() - began
        cpu = 100.0 * (sum(terminal.usage.cpu_times()[:2]) - used) / watched
        for _ in range(FROM_THE_EDGE):
            terminal.press(b"j", CURSOR)
        paints = []
        for number in range(keys):
            paints.append(1000 * terminal.press(b"j" if number % 40 < 20 else b"k", CURSOR))
            terminal.drain(0.07)
        memory = terminal.usage.memory_info().rss / 2**20
    paints.sort()
    p50, p95 = paints[len(paints) // 2], paints[int(len(paints) * 0.95)]
    _say(
        f"{'under load':16} {cpu:.1f} % CPU over {watched:.0f} s (target ≤ {CPU_TARGET:.0f} %), "
        f"{memory:.0f} MB (target ≤ {MEMORY_TARGET_MB:.0f} MB)"
    )
    _say(
        f"{'key to paint':16} p50 {p50:.0f} ms, p95 {p95:.0f} ms, worst {paints[-1]:.0f} ms over "
        f"{keys} keys (target p95 ≤ {PAINT_TARGET_MS:.0f} ms)"
    )
    return cpu > CPU_TARGET or memory > MEMORY_TARGET_MB or p95 > PAINT_TARGET_MS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--keys", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    late = _start(options.rounds)
    missed = _load(options.seconds, options.keys)
    return int(late or missed)


if __name__ == "__main__":
    sys.exit(main())
