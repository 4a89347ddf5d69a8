"""What the API answers when it does not do what was asked: a status, a code and a sentence."""

from collections.abc import Mapping
from typing import Final, cast

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.types import ExceptionHandler

from router.api.bodies import Wrong
from router.documents.problems import in_words, problems_in
from router.inbox.errors import Code, InboxError

log = structlog.stdlib.get_logger("router.api")

PREFIX: Final = "notifications_m."
"""What the inbox's codes start with on the wire."""

STATUS: Final[Mapping[Code, int]] = {
    Code.INVALID_USER_ID: 400,
    Code.INVALID_ID: 400,
    Code.INVALID_QUERY: 400,
    Code.INVALID_GROUP: 400,
    Code.INVALID_CHANNEL: 400,
    Code.INVALID_EVENT: 400,
    Code.NOT_FOUND: 404,
    Code.FAILED_TO_FETCH_NOTIFICATIONS: 503,
    Code.FAILED_TO_MARK_AS_READ: 503,
    Code.FAILED_TO_DELETE: 503,
    Code.FAILED_TO_FETCH_PREFERENCES: 503,
    Code.FAILED_TO_UPDATE_PREFERENCES: 503,
    Code.FAILED_TO_FETCH_DELIVERIES: 503,
    Code.FAILED_TO_SEND: 503,
}


class ApiError(Exception):
    """A request that is refused before the inbox is asked."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers


def answer(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The answer in the form that all errors have."""
    return JSONResponse({"code": code, "message": message}, status, headers=dict(headers or {}))


def wrongs(*statuses: int) -> dict[int | str, dict[str, object]]:
    """What the OpenAPI document says of these statuses."""
    return {status: {"model": Wrong} for status in statuses}


def add_handlers(app: FastAPI) -> None:
    """Have every error of `app` answered in the one form."""
    handlers: dict[type[Exception], ExceptionHandler] = {
        ApiError: _api_error,
        InboxError: _inbox_error,
        RequestValidationError: _invalid,
        HTTPException: _http,
        Exception: _fault,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


async def _api_error(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, ApiError):
        raise error
    return answer(error.status, error.code, str(error), error.headers)


async def _inbox_error(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, InboxError):
        raise error
    return answer(STATUS[error.code], f"{PREFIX}{error.code}", str(error))


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    details: list[ErrorDetails] = []
    for detail in error.errors():
        if detail["type"] == "json_invalid":
            return answer(400, "invalid_request", "the body is no valid JSON")
        # Where it stands in the request: a person calls it the query or the body, as the place in it goes on.
        place = tuple(detail["loc"][1:]) if len(detail["loc"]) > 1 else ("the body",)
        details.append(cast("ErrorDetails", {**detail, "loc": place}))
    return answer(400, "invalid_request", in_words(problems_in(details)))


async def _http(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    code, message = {
        404: ("not_found", "there is no such address"),
        405: ("method_not_allowed", "this address does not know that method"),
    }.get(error.status_code, ("invalid_request", str(error.detail)))
    return answer(error.status_code, code, message, error.headers)


async def _fault(request: Request, error: Exception) -> JSONResponse:
    log.error("a fault in the API; please report it", path=request.url.path, exc_info=error)
    return answer(500, "internal_error", "this is our fault; the server's log has the details")
