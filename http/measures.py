"""What a process counts of its own work, and how that and the state of the database are told to Prometheus.

The names follow https://prometheus.io/docs/practices/naming/. No label holds a project, an id, or anything else that a
caller chooses: each distinct value would be kept for as long as the process runs.
"""

from collections.abc import Callable, Iterator
from importlib.metadata import version

from prometheus_client import CollectorRegistry, GCCollector, Histogram, Info, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from modeltrail.projections.vitals import Vitals

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds
METHODS = frozenset(("GET", "POST", "PATCH", "DELETE"))
OTHER = "other"


class Measures:
    """One set per process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        Info("modeltrail_build", "Which version this is.", registry=self._registry).info(
            {"version": version("modeltrail")}
        )
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._times = Histogram(
            "modeltrail_http_request_duration_seconds",
            "From the arrival of a request to the first byte of its answer.",
            ("method", "route", "status"),
            registry=self._registry,
            buckets=BUCKETS,
        )
        self._time_of: dict[tuple[str, str | None, int], Histogram] = {}

    def count(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count an answered request. `route` is the pattern of its path; None when there is none."""
        key = (method if method in METHODS else OTHER, route, status)
        times = self._time_of.get(key)
        if times is None:
            times = self._time_of[key] = self._times.labels(key[0], route or OTHER, status)
        times.observe(seconds)

    def exposed(self, accept: str, waiting: int, vitals: Vitals | None) -> tuple[bytes, str]:
        """All of it in a format that `accept`, a header, prefers, and which that is.

        `waiting` commands are not answered yet. Without `vitals`, the database did not answer.
        """
        encode, media_type = _encoder_for(accept)
        return encode(_Everything(self._registry, waiting, vitals)), media_type


def _encoder_for(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    try:
        return choose_encoder(accept)
    except TypeError:  # for a version that is not made of numbers
        return choose_encoder("")


class _Everything(Collector):
    """What was counted, and what is the case at the moment."""

    def __init__(self, counted: CollectorRegistry, waiting: int, vitals: Vitals | None) -> None:
        self._counted = counted
        self._waiting = waiting
        self._vitals = vitals

    def collect(self) -> Iterator[Metric]:
        yield from self._counted.collect()
        yield _gauge("commands_waiting", "Commands that this process has not answered yet.", self._waiting)
        yield _gauge("database_up", "Whether the database answered.", self._vitals is not None)
        if self._vitals is not None:
            yield from _families(self._vitals)


def _families(vitals: Vitals) -> Iterator[Metric]:
    yield _gauge("log_position", "Position of the newest event in the log.", vitals.position)
    lag_events = GaugeMetricFamily(
        "modeltrail_projection_lag_events", "Events that a projection has still to take.", labels=["projection"]
    )
    lag_seconds = GaugeMetricFamily(
        "modeltrail_projection_lag_seconds", "Age of the oldest event of these.", labels=["projection"]
    )
    stuck = GaugeMetricFamily(
        "modeltrail_projection_stuck", "Whether it stands at an event that it cannot take.", labels=["projection"]
    )
    for follower in vitals.followers:
        lag_events.add_metric([follower.name], follower.lag_events)
        lag_seconds.add_metric([follower.name], follower.lag_seconds)
        stuck.add_metric([follower.name], follower.is_stuck)
    yield from (lag_events, lag_seconds, stuck)
    tasks = GaugeMetricFamily(
        "modeltrail_deployment_tasks",
        "What the deploy worker has still to do, and what it has set aside for an operator.",
        labels=["state"],
    )
    tasks.add_metric(["open"], vitals.tasks_open)
    tasks.add_metric(["parked"], vitals.tasks_parked)
    yield tasks
    yield _gauge(
        "deployment_task_oldest_seconds", "How long ago the oldest open task was asked for.", vitals.oldest_task_seconds
    )
    yield _gauge("deploy_worker_up", "Whether a deploy worker is at work.", vitals.is_worked_on)
    yield _gauge("cluster_up", "Whether the cluster answers the deploy worker.", vitals.is_cluster_followed)


def _gauge(name: str, says: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"modeltrail_{name}", says, value=value)
