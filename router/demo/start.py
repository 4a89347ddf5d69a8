"""Starts each part of the demo's scene, one method a part, and leaves what it started on a stack that stops it."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import aiohttp
import orjson

from router.couch.mapping_store import STATUS_ID
from router.demo import story
from router.demo.api_user import ApiUser, token_for
from router.demo.child import Child, DemoError, log_end, run_command
from router.demo.couch_user import CREATED, Couch, CouchUser
from router.demo.environment import DATABASE, MAPPING_ID, clean_environment, couchdb_settings, env_file
from router.demo.folder import CHECKOUT, settings_file
from router.demo.install import install_pouchdb
from router.demo.matrix_user import MatrixUser
from router.demo.pouchdb import PouchDBServer
from router.demo.received import MailRoom
from router.demo.server import Server
from router.demo.steps import Steps
from router.demo.synapse import Synapse
from router.documents.json_types import JsonObject

IN_FORCE_TIMEOUT_SECONDS: Final = 30.0
"""How long the router may take to put a mapping in force, its own start included."""
API_TIMEOUT_SECONDS: Final = 30.0
"""How long the HTTP API may take to answer, its own start included."""
PROBE_TIMEOUT_SECONDS: Final = 2.0
"""How long one look whether it answers may take."""
POLL_SECONDS: Final = 0.05
SERVERS: Final[Mapping[str, tuple[str, str]]] = {
    "matrix": ("Matrix (Synapse)", "synapse/synapse.log"),
    "slack": ("Slack stand-in", "slack.log"),
    "sphinx": ("Sphinx bot stand-in", "sphinx.log"),
}
"""The servers behind the channels that are processes of their own: what they are called, and their logs."""


class Start:
    """The parts. What they need is theirs alone, so that they may start side by side until the mapping needs them all."""

    def __init__(self, folder: Path, steps: Steps, stack: AsyncExitStack) -> None:
        self._folder = folder
        self._steps = steps
        self._stack = stack

    def asked(self, channel: str) -> Server:
        """The server behind a channel, as an error names it."""
        name, log = SERVERS[channel]
        return Server(name, self._folder / log)

    async def couchdb(self) -> Couch:
        """PouchDB Server, prepared by `router setup`, which also makes a user for each role.

        Raises InstallError, StartError, DemoError.
        """
        asked = Server("CouchDB (PouchDB Server)", self._folder / "couchdb.log")
        with self._steps.step(asked.name) as tell:
            await install_pouchdb(tell)
            server = await self._stack.enter_async_context(PouchDBServer(log=asked.log))
            tell("router setup")
            users = [f"--user={role}={name}" for role, name in story.COUCH_USERS.items()]
            as_admin = couchdb_settings(server.url, server.admin, server.password)
            said = await self._router_command(as_admin, "setup", *users, "--json")
            passwords: dict[str, str] = orjson.loads(said)["passwords"]
            logins = {
                role: CouchUser(f"{server.url}/{DATABASE}", name, passwords[name], asked)
                for role, name in story.COUCH_USERS.items()
            }
            tell(server.url)
            server_admin = CouchUser(f"{server.url}/{DATABASE}", server.admin, server.password, asked)
            return Couch(server.url, **logins, server_admin=server_admin)

    async def matrix(self) -> tuple[MatrixUser, MatrixUser, str]:
        """Synapse with the router's user and with alice, who invites it to her room; and that room's id.

        Raises SynapseError, MatrixRefusal, DemoError.
        """
        asked = self.asked("matrix")
        with self._steps.step(asked.name) as tell:
            synapse = await self._stack.enter_async_context(Synapse(self._folder / "synapse", on_progress=tell))
            tell("making users and a room")
            with asked.asked():
                router, alice = await synapse.register("router"), await synapse.register("alice")
                room_id = await alice.create_room(name="Admins", invite=(router.user_id,))
            tell(synapse.url)
            return router, alice, room_id

    async def mail(self) -> MailRoom:
        """The mail server, in this process."""
        with self._steps.step("Mail server") as tell:
            server = MailRoom()
            await self._stack.enter_async_context(server)
            tell(f"{server.host}:{server.port}")
            return server

    async def stand_in(self, channel: str, module: Sequence[str]) -> JsonObject:
        """The stand-in for a channel's other side as a process of its own, and what it says of itself. Raises DemoError."""
        server = self.asked(channel)
        with self._steps.step(server.name) as tell:
            child = await self._stack.enter_async_context(
                Child(server.name, module, cwd=CHECKOUT, environment=clean_environment(), log=server.log)
            )
            said = await child.first_line()
            tell(str(said["url"]))
            return said

    async def mapping(self, admin: CouchUser, settings: Mapping[str, str], mapping: JsonObject) -> JsonObject:
        """`mapping` in a file, and in CouchDB by `router mapping push`; the document as it stands there. Raises DemoError."""
        with self._steps.step("Mapping") as tell:
            path = self._folder / "mapping.json"
            path.write_bytes(orjson.dumps(mapping, option=orjson.OPT_INDENT_2))
            tell(f"router mapping push {path.relative_to(CHECKOUT)}")
            as_admin = {
                **settings,
                "ROUTER_COUCHDB__USERNAME": admin.name,
                "ROUTER_COUCHDB__PASSWORD": admin.password,
            }
            await self._router_command(as_admin, "mapping", "push", str(path))
            return await admin.document(MAPPING_ID)

    async def users(self, admin: CouchUser) -> None:
        """The recipient document of alice, and the catalogue of what users choose among. Raises DemoError."""
        with self._steps.step("Users") as tell:
            for document in (story.CATALOGUE, story.RECIPIENT):
                document_id = str(document["_id"])
                status, answer = await admin.put(document_id, document)
                if status not in CREATED:
                    raise DemoError(f"CouchDB did not take {document_id}: {status} {answer.get('reason')}")
            tell(f"documents {story.RECIPIENT['_id']}, and {story.CATALOGUE['_id']}, the catalogue")

    async def api(self, settings: dict[str, str]) -> ApiUser:
        """The HTTP API, once it answers, and alice as it knows her. Raises DemoError."""
        with self._steps.step("HTTP API") as tell:
            tell("router serve")
            process = await self._stack.enter_async_context(
                Child(
                    "The HTTP API",
                    ("router", "serve"),
                    cwd=self._folder,
                    environment=clean_environment() | settings,
                    log=self._folder / "api.log",
                )
            )
            url = f"http://127.0.0.1:{settings['ROUTER_API__PORT']}"
            await wait_healthy(url, process)
            tell(url)
            return ApiUser(url, story.USER, token_for(story.USER, settings["ROUTER_API__JWT_SECRET"]), process)

    async def router(self, admin: CouchUser, settings: dict[str, str], rev: str) -> Child:
        """The router, once it has revision `rev` of the mapping in force. Raises DemoError."""
        with self._steps.step("Router") as tell:
            tell("router run")
            # For `router status` and the others, by hand. Its logins are dead once the demo has ended.
            env = settings_file(self._folder)
            self._stack.callback(env.unlink, missing_ok=True)
            env.write_text(env_file(settings))
            router = await self._stack.enter_async_context(
                Child(
                    "The router",
                    ("router", "run"),
                    cwd=self._folder,
                    environment=clean_environment() | settings,
                    log=self._folder / "router.log",
                )
            )
            await wait_in_force(admin, rev, router)
            return router

    async def _router_command(self, settings: dict[str, str], *arguments: str) -> bytes:
        return await run_command(
            "router " + " ".join(argument for argument in arguments if not argument.startswith("-")),
            ("router", *arguments),
            cwd=self._folder,
            environment=clean_environment() | settings,
            log=self._folder / "commands.log",
        )


async def wait_in_force(admin: CouchUser, rev: str, router: Child) -> None:
    """Wait until the router says that revision `rev` of the mapping is in force. Raises DemoError."""
    try:
        async with asyncio.timeout(IN_FORCE_TIMEOUT_SECONDS):
            while (await admin.document(STATUS_ID)).get("in_force_rev") != rev:
                router.check()
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise DemoError(
            f"The router did not take up the mapping within {IN_FORCE_TIMEOUT_SECONDS:g} s: {log_end(router.log)}"
        ) from None


async def wait_healthy(api_url: str, process: Child) -> None:
    """Wait until the HTTP API answers. Raises DemoError."""
    try:
        async with asyncio.timeout(API_TIMEOUT_SECONDS):
            while not await _is_healthy(api_url):
                process.check()
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise DemoError(
            f"{process.name} did not answer within {API_TIMEOUT_SECONDS:g} s: {log_end(process.log)}"
        ) from None


async def _is_healthy(api_url: str) -> bool:
    timeout = aiohttp.ClientTimeout(total=PROBE_TIMEOUT_SECONDS)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(f"{api_url}/healthz") as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False  # It does not listen yet.
