"""What the router counts and measures, in Prometheus' form."""

from prometheus_client import CollectorRegistry


class Metrics:
    """The router's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
