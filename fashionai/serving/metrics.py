"""What the server counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The counts of one server."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)  # memory, CPU time and open files
        self.requests = Counter(
            "fashionai_requests", "Answered requests", ["path", "status"], registry=registry
        )
        self.seconds = Histogram(
            "fashionai_request_seconds",
            "Time from the beginning of a request to its answer",
            ["path"],
            buckets=SECONDS,
            registry=registry,
        )
        self.images = Counter(
            "fashionai_images",
            "Images by status of their answer",
            ["status"],
            registry=registry,
        )
        self.batches = Histogram(
            "fashionai_batch_images",
            "Images computed together",
            buckets=BATCH_SIZES,
            registry=registry,
        )
        self.waiting = Gauge(
            "fashionai_waiting_images", "Images that wait for an answer", registry=registry
        )

    def text(self) -> bytes:
        """All counts in Prometheus' text format."""
        return generate_latest(self._registry)
