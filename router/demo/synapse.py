"""A real Matrix homeserver on a free loopback port: configured, started, killed, started again, stopped."""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import signal
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import aiohttp

from router.demo.matrix_user import MatrixUser, call
from router.demo.synapse_environment import Progress, SynapseError, install, say_nothing
from router.documents.json_types import JsonObject, JsonValue

START_TIMEOUT_SECONDS: Final = 60.0
STOP_TIMEOUT_SECONDS: Final = 10.0
"""How long Synapse may take to end after SIGTERM before it is killed."""
_POLL_SECONDS: Final = 0.05
_PORT_ATTEMPTS: Final = 3

# Synapse never reads its input. This thread does, so that Synapse ends with whoever started it, however that one ended.
_RUN_SYNAPSE: Final = """
import os, runpy, signal, threading
def follow():
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=follow, daemon=True).start()
runpy.run_module("synapse.app.homeserver", run_name="__main__", alter_sys=True)
"""

_ENOUGH: Final[JsonObject] = {"per_second": 10_000, "burst_count": 10_000}


class Synapse:
    """One Synapse with its data (SQLite) in `directory`, which outlives it: the same directory continues where it was.

    `async with Synapse(directory) as synapse:` installs it if need be, starts it and stops it. It is no part of any event loop:
    one loop may start it, another use it, a third stop it. Nothing but loopback can reach it, and it reaches nobody.
    """

    def __init__(
        self,
        directory: Path,
        *,
        environment: Path | None = None,
        server_name: str = "localhost",
        on_progress: Progress = say_nothing,
    ) -> None:
        """`environment`: where Synapse is installed, see `synapse_environment.install`."""
        self.server_name = server_name
        self._directory = directory
        self._environment = environment
        self._on_progress = on_progress
        self._process: subprocess.Popen[bytes] | None = None
        self._port: int | None = None
        self._shared_secret = secrets.token_hex(16)
        self._admin: MatrixUser | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """Base address, `http://127.0.0.1:…`; the same after every start."""
        if self._port is None:
            raise SynapseError("Synapse has no address yet; start it first.")
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Start it and wait until it answers. Raises SynapseError, with the end of its log, when it does not."""
        python = await install(self._environment, on_progress=self._on_progress)
        self._on_progress("starting Synapse")
        # Between finding a free port and using it, somebody else may have taken it. Only a first start may choose again.
        for _ in range(_PORT_ATTEMPTS if self._port is None else 1):
            self._port = self._port or _free_port()
            self._configure(self._port)
            self._spawn(python)
            try:
                async with asyncio.timeout(START_TIMEOUT_SECONDS):
                    if await self._answers():
                        return
            except TimeoutError:
                await self.kill()
                raise SynapseError(
                    f"Synapse did not answer within {START_TIMEOUT_SECONDS:.0f} s; look at {self._log}."
                ) from None
            except BaseException:
                await self.kill()
                raise
            if "CannotListenError" in self._log.read_text(errors="replace"):
                self._port = None
        ended = "; ".join(self._log.read_text(errors="replace").strip().splitlines()[-2:])
        raise SynapseError(f"Synapse ended as soon as it was started ({ended}); look at {self._log}.")

    async def stop(self) -> None:
        """End it in good order, or kill it when that takes too long. Does nothing when it is not running."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
                    await self._ended()
            except TimeoutError:
                await self.kill()

    async def kill(self) -> None:
        """End it at once, as `kill -9` does. `start` continues on the same data and port."""
        if self._process is not None:
            self._process.kill()
            await self._ended()

    async def register(self, username: str, password: str | None = None, *, admin: bool = False) -> MatrixUser:
        """Make the user `@username:server_name` and log in. Raises MatrixRefusal, for a name that is taken say."""
        password = password or secrets.token_urlsafe(12)
        nonce = (await call("GET", f"{self.url}/_synapse/admin/v1/register"))["nonce"]
        fields = [str(nonce), username, password, "admin" if admin else "notadmin"]
        mac = hmac.new(self._shared_secret.encode(), "\0".join(fields).encode(), hashlib.sha1).hexdigest()
        made = await call(
            "POST",
            f"{self.url}/_synapse/admin/v1/register",
            {"nonce": nonce, "username": username, "password": password, "admin": admin, "mac": mac},
        )
        return MatrixUser(
            self.url, str(made["user_id"]), str(made["access_token"]), str(made["device_id"]), password=password
        )

    async def limit_messages(self, user_id: str, *, per_second: int, burst: int) -> None:
        """From now on answer 429 when `user_id` sends more than this; 0 and 0 lift every limit for it."""
        await self.administer(
            "POST",
            f"/v1/users/{user_id}/override_ratelimit",
            {"messages_per_second": per_second, "burst_count": burst},
        )

    async def administer(self, method: str, path: str, body: JsonObject | None = None) -> JsonObject:
        """Call Synapse's admin API (`path` below /_synapse/admin) as an administrator made for it. Raises MatrixRefusal."""
        if self._admin is None:
            self._admin = await self.register(f"admin-{secrets.token_hex(4)}", admin=True)
        return await call(method, f"{self.url}/_synapse/admin{path}", body, token=self._admin.access_token)

    @property
    def _log(self) -> Path:
        return self._directory / "synapse.log"

    def _configure(self, port: int) -> None:
        """Write the configuration: JSON, which is YAML too. Keys are made once; the port may differ."""
        self._directory.mkdir(parents=True, exist_ok=True)
        key = self._directory / "signing.key"
        if not key.exists():
            seed = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
            key.write_text(f"ed25519 a_{secrets.token_hex(2)} {seed}\n")
        logs: JsonObject = {
            "version": 1,
            "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
            "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "line"}},
            "root": {"level": "WARNING", "handlers": ["out"]},
            "disable_existing_loggers": False,
        }
        (self._directory / "log.json").write_text(json.dumps(logs))
        (self._directory / "homeserver.json").write_text(json.dumps(self._settings(port, key)))

    def _settings(self, port: int, key: Path) -> JsonObject:
        limits: dict[str, JsonValue] = dict.fromkeys(
            ("rc_message", "rc_registration", "rc_key_requests", "rc_joins_per_room", "rc_room_creation"), _ENOUGH
        )
        limits["rc_login"] = {"address": _ENOUGH, "account": _ENOUGH, "failed_attempts": _ENOUGH}
        limits["rc_joins"] = {"local": _ENOUGH, "remote": _ENOUGH}
        limits["rc_invites"] = {"per_room": _ENOUGH, "per_user": _ENOUGH, "per_issuer": _ENOUGH}
        return {
            "server_name": self.server_name,
            "pid_file": str(self._directory / "synapse.pid"),
            "listeners": [
                {
                    "port": port,
                    "type": "http",
                    "tls": False,
                    "bind_addresses": ["127.0.0.1"],
                    "resources": [{"names": ["client"], "compress": False}],
                }
            ],
            "database": {"name": "sqlite3", "args": {"database": str(self._directory / "homeserver.db")}},
            "log_config": str(self._directory / "log.json"),
            "signing_key_path": str(key),
            "registration_shared_secret": self._shared_secret,
            "macaroon_secret_key": hashlib.sha256(key.read_bytes()).hexdigest(),
            "form_secret": hashlib.sha256(b"form" + key.read_bytes()).hexdigest(),
            "trusted_key_servers": [],
            "federation_domain_whitelist": [],
            "report_stats": False,
            "enable_media_repo": False,
            "presence": {"enabled": False},
            # Else the same question within two minutes gets the same answer, whatever has happened since.
            "caches": {"sync_response_cache_duration": 0},
            # Passwords here guard nothing; the cheapest hash makes logins quick.
            "bcrypt_rounds": 4,
            **limits,
        }

    def _spawn(self, python: Path) -> None:
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603
                [str(python), "-c", _RUN_SYNAPSE, "--config-path", str(self._directory / "homeserver.json")],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._directory,
                # A Ctrl-C in the terminal is for the demo, which then stops Synapse itself.
                start_new_session=True,
            )

    async def _answers(self) -> bool:
        """Wait until it answers: True; or ends: False."""
        async with aiohttp.ClientSession() as session:
            while self._process is not None:
                try:
                    async with session.get(f"{self.url}/health") as answer:
                        if answer.status == 200:
                            return True
                except aiohttp.ClientError:
                    if self._process.poll() is not None:
                        await self._ended()
                        return False
                await asyncio.sleep(_POLL_SECONDS)
        return False

    async def _ended(self) -> None:
        while self._process is not None and self._process.poll() is None:  # noqa: ASYNC110 - no loop watches this process
            await asyncio.sleep(_POLL_SECONDS)
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
