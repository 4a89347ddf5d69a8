"""Makes the application behind the HTTP API's port."""

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware

from router import __version__
from router.api.body_limit import BodyLimit
from router.api.errors import add_handlers
from router.api.health import health_routes
from router.api.parts import Parts
from router.api.report_routes import report_routes
from router.api.second_form import second_routes
from router.api.unsubscribe_routes import unsubscribe_routes
from router.api.v1 import v1_routes
from router.api.widget_routes import widget_routes
from router.settings import ApiSettings

DESCRIPTION = """In-app notifications for front ends, and test endpoints for programs. Two forms, `/v1` and `/api`, over one
store.

Users send a JWT, `Authorization: Bearer …`: `sub` is the user, `customers` the customers that the user belongs to. The two test
endpoints under `/v1` take an API key, `X-API-Key: …`. Errors are `{"code": …, "message": …}`."""
CORS_METHODS = ("GET", "PUT", "POST", "PATCH", "DELETE")
CORS_HEADERS = ("authorization", "content-type", "last-event-id", "x-api-key")
CORS_MAX_AGE_SECONDS = 600


def make_api(settings: ApiSettings, parts: Parts) -> FastAPI:
    """The application."""
    app = FastAPI(
        title="Notification router",
        version=__version__,
        description=DESCRIPTION,
        openapi_url="/openapi.json",
        docs_url=None,  # They would load scripts from somewhere else.
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    add_handlers(app)
    app.include_router(health_routes())
    app.include_router(v1_routes(parts))
    app.include_router(second_routes(parts))
    app.include_router(report_routes(parts))
    app.include_router(widget_routes())
    if parts.unsubscribe is not None:
        app.include_router(unsubscribe_routes(parts.unsubscribe, parts.preferences))
    app.add_middleware(BodyLimit, max_body_bytes=settings.max_body_bytes)
    if settings.cors_origins:
        # The outermost: a page must be able to read errors too.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=CORS_METHODS,
            allow_headers=CORS_HEADERS,
            expose_headers=("retry-after",),
            max_age=CORS_MAX_AGE_SECONDS,
        )
    return app


def _operation_id(route: APIRoute) -> str:
    form = "second" if route.path.startswith("/api/") else "first"
    return route.name if form == "first" else f"{form}_{route.name}"
