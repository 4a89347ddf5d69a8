"""`…/preferences`, the same in both forms of the API."""

from typing import Annotated

from fastapi import APIRouter, Depends

from router.api.bodies import CustomerId, PreferencesIn, PreferencesOut
from router.api.parts import Parts
from router.inbox.caller import Caller, Role


def add_preferences(routes: APIRouter, parts: Parts) -> None:
    """Add the two endpoints to one form's `routes`."""
    caller = Annotated[Caller, Depends(parts.access.by_token(Role.USER, Role.ADMIN))]

    @routes.get("/preferences")
    async def preferences(caller: caller, customer_id: CustomerId = None) -> PreferencesOut:
        """What the user wants to be told, and how; with `customer_id` as one of that customer's."""
        return PreferencesOut.of(await parts.preferences.get(caller, customer_id))

    @routes.put("/preferences")
    async def put_preferences(caller: caller, wanted: PreferencesIn, customer_id: CustomerId = None) -> PreferencesOut:
        """Save the user's preferences in place of those before."""
        return PreferencesOut.of(await parts.preferences.put(caller, wanted, customer_id))
