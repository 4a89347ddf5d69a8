"""Makes the application behind the router's HTTP port."""

from collections.abc import Callable

from fastapi import FastAPI

from router import __version__
from router.metrics import Metrics
from router.web.ops import ops_routes
from router.web.snapshot import Snapshot


def make_app(snapshot: Callable[[], Snapshot], metrics: Metrics) -> FastAPI:
    """The application. It keeps no state of its own: all it says it asks of `snapshot` and `metrics`."""
    app = FastAPI(title="Notification router", version=__version__, openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(ops_routes(snapshot, metrics))
    return app
