"""Figures for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)


class Metrics:
    """What a server counts; `text` is what Prometheus reads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "facestats_requests",
            "Requests by route and status",
            ["route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "facestats_request_seconds",
            "Time from a request's first byte to its answer's last, by route",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.queue = Gauge(
            "facestats_queued_photos",
            "Photos that are worked on or wait",
            registry=self.registry,
        )
        self.batches = Histogram(
            "facestats_batch_photos",
            "Photos in a forward pass of the encoder",
            buckets=(1, 2, 3, 4, 5, 6, 7, 8, 16, 32),
            registry=self.registry,
        )
        self.rejected = Counter(
            "facestats_rejected_photos",
            "Photos, or bodies of several, without an answer, by the code of the error",
            ["reason"],
            registry=self.registry,
        )
        self.model = Gauge(
            "facestats_model_info",
            "The models in use; the value is 1",
            ["variant", "weights_sha256", "precision", "trained", "faces"],
            registry=self.registry,
        )

    def set_model(self, **labels: str) -> None:
        """Name the models in use."""
        self.model.clear()
        self.model.labels(**labels).set(1)

    def text(self) -> bytes:
        return generate_latest(self.registry)
