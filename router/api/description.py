"""The OpenAPI document, of an API that is made and never served."""

from pydantic import SecretStr

from router.api.access import Access
from router.api.app import make_api
from router.api.keys import ApiKeys
from router.api.parts import Parts
from router.api.rate_limit import RateLimit
from router.api.streams import SseStreams
from router.api.tokens import TokenVerifier, key_source
from router.couch.database import Database
from router.documents.json_types import JsonObject
from router.inbox.preferences import PreferencesService
from router.inbox.sending import SendingService
from router.inbox.service import InboxService
from router.reports.service import ReportsService
from router.settings import ApiSettings, CouchDBSettings
from router.stream.hub import Hub


def openapi_document() -> JsonObject:
    """The document that `/openapi.json` gives. Needs no settings, and connects to nothing."""
    settings = ApiSettings(jwt_secret=SecretStr("nobody is let in with this secret"))
    database = Database(CouchDBSettings())
    parts = Parts(
        Access(TokenVerifier(settings, key_source(settings)), ApiKeys(()), RateLimit(1, 1)),
        InboxService(database),
        PreferencesService(database, "", ()),
        SendingService(database, ""),
        ReportsService(database),
        SseStreams(Hub(settings, database), 0),
        None,
    )
    document: JsonObject = make_api(settings, parts).openapi()
    return document
