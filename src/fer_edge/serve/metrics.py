"""Counters for Prometheus, in a registry of their own."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fer_edge.runtime.device.throttling import Health

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the latency histogram, in seconds."""


class Metrics:
    """What one server counts.

    Attributes:
        requests: by path, method and status.
        seconds: duration of prediction requests.
        faces: by origin, "request" or "stream".
        queue: prediction requests that are read, wait or are computed.
        frames, dropped: of the live stream: recognized; not sent to a viewer that was too slow.
        viewers: of the live stream.
        camera: 1: its frames arrive.
        health: of the machine, as last read.
    """

    def __init__(self) -> None:
        # they say when each counter was made, in lines of their own
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "fer_requests", "HTTP requests.", ("path", "method", "status"), registry=registry
        )
        self.seconds = Histogram(
            "fer_predict_seconds",
            "Duration of prediction requests.",
            buckets=BUCKETS,
            registry=registry,
        )
        self.faces = Counter("fer_faces", "Faces that were read.", ("origin",), registry=registry)
        self.queue = Gauge("fer_queue", "Prediction requests under way.", registry=registry)
        self.frames = Counter("fer_frames", "Frames of the live stream.", registry=registry)
        self.dropped = Counter(
            "fer_frames_dropped", "Frames that a viewer was too slow for.", registry=registry
        )
        self.viewers = Gauge("fer_viewers", "Viewers of the live stream.", registry=registry)
        self.camera = Gauge("fer_camera_up", "1: the camera's frames arrive.", registry=registry)
        self.health = Health(None, (), None)
        self.registry.register(_HealthCollector(self))

    def render(self, health: Health) -> bytes:
        """All metrics in the text format of Prometheus."""
        self.health = health
        return generate_latest(self.registry)


class _HealthCollector(Collector):
    """Temperature and throttling, left out where the machine does not report them."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        health = self._metrics.health
        if health.temperature is not None:
            yield GaugeMetricFamily(
                "fer_temperature_celsius", "Temperature of the CPU.", health.temperature
            )
        if health.throttled is not None:
            family = GaugeMetricFamily(
                "fer_throttled",
                "1: the machine is slowed down, or short of power.",
                labels=("state",),
            )
            for state in health.throttled:
                family.add_metric((state,), 1)
            yield family
