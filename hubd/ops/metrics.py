"""What the hub measures, in Prometheus' words; each hub has a registry of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from common.supervise import LoopHealth

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

Figures = Mapping[str, float]
Reader = Callable[[], Awaitable[None]]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30, 65)


class Metrics:
    """Counters that move as things happen, and gauges read when the page is asked for."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._readers: list[Reader] = []
        self.requests = self._counter(
            "mesh_http_requests_total", "Requests answered.", "route", "status"
        )
        self.seconds = Histogram(
            "mesh_http_request_seconds",
            "Time until the answer began; long polls include their waiting.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.loop_restarts = self.gauge(
            "mesh_loop_restarts", "How often a background loop failed and began again.", "loop"
        )

    def gauge(self, name: str, help_: str, *labels: str) -> Gauge:
        return Gauge(name, help_, list(labels), registry=self.registry)

    def read_with(self, reader: Reader) -> None:
        """Have `reader` set its gauges before each page."""
        self._readers.append(reader)

    def watch_loops(self, health: Mapping[str, LoopHealth]) -> None:
        """Show the restarts of a supervisor's loops."""

        async def read() -> None:
            for loop, loop_health in health.items():
                self.loop_restarts.labels(loop).set(loop_health.restarts)

        self.read_with(read)

    async def page(self) -> bytes:
        """The page as it is now."""
        for reader in self._readers:
            await reader()
        return generate_latest(self.registry)

    def _counter(self, name: str, help_: str, *labels: str) -> Counter:
        return Counter(name, help_, list(labels), registry=self.registry)
