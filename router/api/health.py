"""Whether this process serves."""

from fastapi import APIRouter

from router.documents.json_types import JsonObject


def health_routes() -> APIRouter:
    """`/healthz`."""
    routes = APIRouter(tags=["health"])

    @routes.get("/healthz")
    async def healthz() -> JsonObject:
        """The process runs and answers."""
        return {"status": "ok"}

    return routes
