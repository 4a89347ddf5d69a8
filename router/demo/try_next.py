"""What to try next: how to write a message with curl, where to see the inbox, what to look at, and which commands there are."""

import os
import shlex
import sys
from pathlib import Path
from typing import Final

import orjson
from rich.console import Console

from router.couch.design import DESIGN_ID
from router.couch.mapping_store import STATUS_ID
from router.demo import inbox, story
from router.demo.couch_user import CouchUser
from router.demo.environment import MAPPING_ID
from router.demo.folder import settings_file
from router.demo.scene import Scene
from router.demo.show import heading, say
from router.documents.json_types import JsonObject

WIDGET_PATH: Final = "/widget"
"""The page of the HTTP API that shows an inbox, by the token in the address's fragment."""


def show_what_next(console: Console, scene: Scene) -> None:
    """All of it."""
    _writing(console, scene)
    _reading_the_inbox(console, scene)
    _editing(console, scene)
    _looking(console, scene)
    _commands(console, scene.folder)


def _writing(console: Console, scene: Scene) -> None:
    heading(console, "Write your own, as an app would (copy it as often as you like: each has an id of its own):")
    say(console, _curl_message(scene, {"to": story.GROUP, "subject": "Hello", "body": "<b>My first message</b>"}))
    heading(console, "Write to Alice (put backups in place of orders, and it comes into her inbox but not by mail):")
    say(
        console,
        _curl_message(
            scene, {"to": f"@{story.USER}", "type": "orders", "subject": "Hello Alice", "body": "<b>For you</b>"}
        ),
    )


def _reading_the_inbox(console: Console, scene: Scene) -> None:
    alice = scene.api_alice
    heading(console, "See her inbox in a browser (the token in the address is hers, and good for this demo alone):")
    say(console, f"{alice.api_url}{WIDGET_PATH}#token={alice.token}")
    heading(console, "Read it through the HTTP API, as her app's front end does:")
    say(console, f"curl -s -H 'Authorization: Bearer {alice.token}' {alice.api_url}{inbox.PATH}")


def _editing(console: Console, scene: Scene) -> None:
    admin = scene.couch.admin
    heading(console, "Edit the mapping, as an admin would; an edit counts at once, and a bad one changes nothing:")
    say(console, _curl_get(admin, f"/{MAPPING_ID}") + " > mapping.json")
    say(console, _curl_put(admin, f"{admin.database_url}/{MAPPING_ID}", "@mapping.json"))


def _looking(console: Console, scene: Scene) -> None:
    couch = scene.couch
    heading(console, "Look at documents: is the mapping in force, what became of a message?")
    say(console, _curl_get(couch.app, f"/{STATUS_ID}"))
    say(
        console,
        _curl_get(couch.app, f"/{DESIGN_ID}/_view/by_message")
        + f" -G --data-urlencode 'key=\"{story.ORDER.id}\"' -d include_docs=true",
    )
    heading(console, "Look at the router: does it do its part, what does it count?")
    say(console, f"curl -s {scene.router_url}/readyz")
    say(console, f"curl -s {scene.router_url}/metrics")
    admin = couch.server_admin
    heading(console, f"Look around as the server's admin, {admin.name} with password {admin.password}:")
    say(console, f"{_login(admin)} {couch.server}/_all_dbs")


def _commands(console: Console, folder: Path) -> None:
    router = os.path.relpath(Path(sys.executable).with_name("router"))
    env = os.path.relpath(settings_file(folder))
    heading(
        console, f"The router's own commands: {router} with this demo's settings, {env}, which is gone when it ends:"
    )
    for command in (
        "check",
        f"route '{story.GROUP}'",
        f"route @{story.USER} --type backups",
        f"status {story.ORDER.id}",
        f"send '{story.GROUP}' -s Hi 'By hand' --wait",
    ):
        say(console, f"(set -a && . {shlex.quote(env)} && {shlex.quote(router)} {command})")
    heading(console, f"Logs: {os.path.relpath(folder)}/router.log, api.log, and those of the servers beside them.")


def _curl_message(scene: Scene, content: JsonObject) -> str:
    """A curl command that writes a message, each time with an id of its own."""
    app = scene.couch.app
    body = shlex.quote(orjson.dumps({"content": content}).decode())
    # Not every date knows %N, and not every shell $RANDOM; one of them is enough for an id of its own.
    return _curl_put(app, f'"{app.database_url}/hello-$(date +%s%N)$RANDOM"', body)


def _login(user: CouchUser) -> str:
    """The beginning of a curl command as `user`."""
    return f"curl -s -u {shlex.quote(f'{user.name}:{user.password}')}"


def _curl_get(user: CouchUser, path: str) -> str:
    """A curl command that reads `path` below the database."""
    return f"{_login(user)} {user.database_url}{path}"


def _curl_put(user: CouchUser, url: str, body: str) -> str:
    """A curl command that writes `body`, or the file that it names, to `url`. Both are already as a shell reads them."""
    return f"{_login(user)} -X PUT {url} -H 'Content-Type: application/json' -d {body}"
