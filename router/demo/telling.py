"""Tells the demo's story: writes its messages as an app does, edits the mapping, saves what a user wants, and waits until all has
arrived or cannot."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from rich.console import Console

from router.demo import inbox, show, story
from router.demo.arrival import Arrival
from router.demo.child import DemoError, log_end
from router.demo.couch_user import CREATED
from router.demo.environment import MAPPING_ID
from router.demo.scene import Scene
from router.demo.start import wait_in_force
from router.documents.delivery import Delivery, Status
from router.documents.preferences import preferences_id

UNROUTABLE_TIMEOUT_SECONDS: Final = 15.0
"""How long the router may take to say that a group is unknown."""
DELIVERY_TIMEOUT_SECONDS: Final = 30.0
"""How long the whole story's deliveries may take."""
POLL_SECONDS: Final = 0.1
PREFERENCES_PATH: Final = f"{inbox.PATH}/preferences"
OK: Final = 200
FORBIDDEN: Final = 403


@dataclass(frozen=True, slots=True)
class Ending:
    """How the story ended."""

    arrivals: list[Arrival]
    deliveries: dict[str, Delivery]
    missing: list[str]
    """What should be and is not, a sentence each."""


async def tell_story(console: Console, scene: Scene) -> Ending:
    """Play all of it, and give what came of it. Raises DemoError."""
    show.heading(console, f"An app writes a message for {story.GROUP}, HTML with a link:")
    await _write(console, scene, story.ORDER)
    show.heading(console, "Another one, plain text:")
    await _write(console, scene, story.BACKUP)
    show.heading(console, f"One for {story.NEW_GROUP}, a group that nobody has set up:")
    await _write(console, scene, story.PARCEL)
    unroutable = await _wait_unroutable(scene)
    why = unroutable.error.reason if unroutable.error else ""
    show.say(console, f"→ {unroutable.status}: {why} (document {unroutable.id})", "yellow")
    show.heading(console, "A malformed one:")
    problems = await _write_malformed(console, scene)
    show.heading(console, f"An admin adds {story.NEW_GROUP} to the mapping; the message that waits is routed:")
    await _edit_mapping(console, scene)
    show.heading(console, "Alice is a user: she decides how she is reached. An admin wrote down who she is:")
    show.document(console, story.RECIPIENT)
    show.heading(
        console, f"She wants no mail about backups; her app's front end saves that with PUT {PREFERENCES_PATH}:"
    )
    await _save_preferences(console, scene)
    show.heading(console, "An app writes to her about an order, for her mailbox and her in-app inbox:")
    await _write(console, scene, story.FOR_ALICE)
    show.heading(console, "And about a backup, which goes into her inbox alone:")
    await _write(console, scene, story.NOT_BY_MAIL)
    return await _wait_for_all(scene, problems)


async def _write(console: Console, scene: Scene, message: story.Message) -> None:
    show.document(console, message.document)
    status, answer = await scene.couch.app.put(message.id, message.document)
    if status not in CREATED:
        raise DemoError(f"CouchDB did not take {message.id}: {status} {answer.get('reason')}")
    show.say(console, f"→ {status}, revision {answer['rev']}", "green")


async def _write_malformed(console: Console, scene: Scene) -> list[str]:
    message = story.MALFORMED
    show.document(console, message.document)
    status, answer = await scene.couch.app.put(message.id, message.document)
    show.say(console, f"→ {status}: {answer.get('reason')}", "yellow")
    return [] if status == FORBIDDEN else [f"{message.id}: CouchDB should have refused it, and answered {status}"]


async def _edit_mapping(console: Console, scene: Scene) -> None:
    document = story.edited(scene.mapping, scene.addresses)
    status, answer = await scene.couch.admin.put(MAPPING_ID, document)
    if status not in CREATED:
        raise DemoError(f"CouchDB did not take the edit of the mapping: {status} {answer.get('reason')}")
    await wait_in_force(scene.couch.admin, str(answer["rev"]), scene.router)
    show.say(console, f"→ {status}, revision {answer['rev']} is in force", "green")


async def _save_preferences(console: Console, scene: Scene) -> None:
    show.document(console, story.PREFERENCES)
    status, answer = await scene.api_alice.put(PREFERENCES_PATH, story.PREFERENCES)
    if status != OK:
        raise DemoError(f"The HTTP API did not save what Alice wants: {status} {answer.get('message')}")
    show.say(console, f"→ {status}, kept as the document {preferences_id(story.USER)}", "green")


async def _wait_unroutable(scene: Scene) -> Delivery:
    try:
        async with asyncio.timeout(UNROUTABLE_TIMEOUT_SECONDS):
            while True:
                found = (await scene.couch.app.deliveries()).get(story.UNROUTABLE_ID)
                if found is not None and found.status is Status.UNROUTABLE:
                    return found
                scene.check()
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise DemoError(
            f"The router did not say within {UNROUTABLE_TIMEOUT_SECONDS:g} s that {story.NEW_GROUP} is unknown: "
            f"{log_end(scene.router.log)}"
        ) from None


async def _wait_for_all(scene: Scene, problems: list[str]) -> Ending:
    wanted = story.expected(scene.addresses)
    arrivals: list[Arrival] = []
    deliveries: dict[str, Delivery] = {}
    texts: dict[tuple[str, str], str] = defaultdict(str)
    missing: list[str] = []
    try:
        async with asyncio.timeout(DELIVERY_TIMEOUT_SECONDS):
            while True:
                # In this order: what a document calls COMPLETE has arrived by then.
                deliveries = await scene.couch.app.deliveries()
                new = await scene.reader.look()
                arrivals += new
                for arrival in new:
                    texts[arrival.channel, arrival.target] += arrival.text + "\n"
                missing = story.missing(wanted, deliveries, texts)
                if not missing or story.is_at_rest(wanted, deliveries):
                    break
                scene.check()
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        problems.append(f"not all was done within {DELIVERY_TIMEOUT_SECONDS:g} s")
    return Ending(arrivals, deliveries, [*missing, *problems])
