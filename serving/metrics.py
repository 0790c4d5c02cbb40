"""What is counted for Prometheus. Labels are bounded: no ids, no addresses."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LATENCY_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
FRESHNESS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "dangol_http_requests", "Requests answered.", ("route", "method", "status"), registry=self.registry
        )
        self.latency = Histogram(
            "dangol_http_request_duration_seconds",
            "Time to answer.",
            ("route",),
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.events = Counter(
            "dangol_events", "Events taken in, by what became of them.", ("status",), registry=self.registry
        )
        self.served = Counter(
            "dangol_recommendations_served", "Rows answered.", ("placement", "degraded"), registry=self.registry
        )
        self.shown_written = Counter("dangol_shown_lists_written", "Shown lists in the log.", registry=self.registry)
        self.shown_dropped = Counter("dangol_shown_lists_dropped", "Shown lists lost.", registry=self.registry)
        self.log_facts = Gauge("dangol_log_facts", "Facts in the log.", registry=self.registry)
        self.projector_lag = Gauge("dangol_projector_lag_facts", "Facts not folded yet.", registry=self.registry)
        self.dead_letters = Gauge("dangol_dead_letters", "Dead letters kept.", registry=self.registry)
        self.products = Gauge("dangol_products", "Products known.", registry=self.registry)
        self.snapshot_timestamp = Gauge(
            "dangol_snapshot_published_timestamp_seconds", "When the snapshot was published.", registry=self.registry
        )
        self.training_failures = Counter("dangol_training_failures", "Trainings that failed.", registry=self.registry)
        self.freshness = Histogram(
            "dangol_freshness_seconds",
            "From a fact's reception until models and catalogue of this process know it.",
            buckets=FRESHNESS_BUCKETS,
            registry=self.registry,
        )
        self.circuit_open = Gauge(
            "dangol_profiles_circuit_open", "1 while answers do without profiles.", registry=self.registry
        )
        self.build = Gauge("dangol_build_info", "The version that runs.", ("version",), registry=self.registry)
        self._by_request: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._by_row: dict[tuple[str, bool], Counter] = {}

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count and time a request."""
        key = (route, method, status)
        counters = self._by_request.get(key)
        if counters is None:  # looking a labelled metric up costs more than counting
            counters = self.requests.labels(route, method, str(status)), self.latency.labels(route)
            self._by_request[key] = counters
        requests, latency = counters
        requests.inc()
        latency.observe(seconds)

    def row_answered(self, placement: str, degraded: bool) -> None:
        """Count a row. Placements are those of the configuration."""
        counter = self._by_row.get((placement, degraded))
        if counter is None:
            counter = self._by_row[placement, degraded] = self.served.labels(placement, str(degraded).lower())
        counter.inc()
