"""Alertmanager with a webhook receiver as a sender in the crash table: no CouchDB, no homeserver, no record to compare with."""

import asyncio
import shutil
import socket
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import httpx

from benchmarks.crash.plan import CHANNELS, Plan, group_name
from benchmarks.crash.siege import Result, Say
from benchmarks.crash.tally import tally
from benchmarks.crash.victim import Victim, beat, victim
from benchmarks.crash.world import CHECKOUT, child_environment, logged, peer
from router.demo.child import log_end
from router.documents.json_types import JsonObject

PACKAGE: Final = "prometheus-alertmanager"
FOLDER: Final = CHECKOUT / ".local" / "alertmanager"
_PROGRAM: Final = FOLDER / "usr" / "bin" / PACKAGE
INSTALL_TIMEOUT_SECONDS: Final = 120.0
REQUEST_TIMEOUT_SECONDS: Final = 5.0
START_TIMEOUT_SECONDS: Final = 10.0
QUIET_SECONDS: Final = 5.0
"""After so long without an arrival nothing more is expected."""
REPEAT_SECONDS: Final = 15.0
"""How often the second sender posts what still fires. Prometheus does so every minute, and is not killed every 2 s."""
FIRING: Final = timedelta(hours=1)
"""How long a message counts as an alert that still fires."""
_RETRY_SECONDS: Final = 0.05

# Debian's build reads its templates from /usr/share, wherever it lies itself: in a mount namespace of its own, that is ours.
_WITH_OWN_SHARE: Final = 'mount --bind "$0" /usr/share && exec "$@"'
_TEMPLATES: Final = Path("/usr/share/prometheus/alertmanager/default.tmpl")

# Each message is a group of its own, sent at once and not again within the run. `continue` hands it to all four receivers.
_ROUTE: Final = """\
route:
  receiver: none
  group_by: [message]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 24h
  routes:
{routes}
receivers:
  - name: none
{receivers}
"""


class AlertmanagerProblem(Exception):
    """It cannot be had or does not play along; the text is one sentence that says why."""


async def find_alertmanager(say: Say) -> list[str]:
    """The command: from the PATH, else Debian's package, unpacked below `.local`. Raises AlertmanagerProblem."""
    found = shutil.which(PACKAGE)
    if found is not None:
        return [found]
    if not _PROGRAM.exists():
        await _unpack(say)
    if _TEMPLATES.exists():
        return [str(_PROGRAM)]
    share = str(FOLDER / "usr" / "share")
    return ["unshare", "--map-root-user", "--mount", "sh", "-c", _WITH_OWN_SHARE, share, str(_PROGRAM)]


async def _unpack(say: Say) -> None:
    """Fetch the package and unpack it, which anybody may. Raises AlertmanagerProblem."""
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise AlertmanagerProblem(f"no {PACKAGE} on the PATH, and this system has no apt-get to fetch it with")
    say(f"fetching Debian's {PACKAGE} into {FOLDER} (once)")
    FOLDER.mkdir(parents=True, exist_ok=True)
    if await _quietly(["apt-get", "download", PACKAGE]) == 0:
        for package in sorted(FOLDER.glob("*.deb")):
            await _quietly(["dpkg", "-x", str(package), str(FOLDER)])
    if not _PROGRAM.exists():
        raise AlertmanagerProblem(f"apt-get could not fetch {PACKAGE}; look at {FOLDER / 'install.log'}")


async def run_alertmanager(plan: Plan, folder: Path, program: list[str], say: Say, *, post_again: bool) -> Result:
    """Post the plan's messages as alerts while Alertmanager is killed.

    Each is posted until Alertmanager has said 200; with `post_again` also every REPEAT_SECONDS from then on, as Prometheus does.
    Raises AlertmanagerProblem when it does not start or takes no alerts.
    """
    homeserver_port, port = _free_port(), _free_port()
    logs = [folder / "webhook.arrivals", folder / "homeserver.arrivals"]
    stand_in = (sys.executable, "-m", "benchmarks.crash.peers", "webhook", str(logs[1]), "--port", str(homeserver_port))
    async with (
        peer("webhook", folder) as described,
        victim(stand_in, child_environment(), folder, folder / "homeserver.log") as homeserver,
    ):
        config = folder / "alertmanager.yml"
        config.write_text(configuration(str(described["url"]), f"http://127.0.0.1:{homeserver_port}"))
        command = [
            *program,
            f"--config.file={config}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
            "--log.level=error",
        ]
        async with victim(command, child_environment(), folder, folder / "alertmanager.log") as alertmanager:
            sender = f"Alertmanager, {'alerts posted again' if post_again else 'alerts posted once'}"
            url = f"http://127.0.0.1:{port}"
            await _starts(url, folder / "alertmanager.log")
            try:
                async with asyncio.timeout(plan.kill_for_seconds + plan.calm_seconds):
                    result = await _besiege(plan, url, alertmanager, homeserver, logs, say, post_again=post_again)
            except TimeoutError:
                raise AlertmanagerProblem(
                    f"Alertmanager did not take all alerts in time: {log_end(folder / 'alertmanager.log')}"
                ) from None
        result.sender = sender
        result.notes.append(await _version(program))
        arrivals = [arrival for log in logs for arrival in logged(log)]
    targets = {message_id: group_name(plan.group_of(message_id)) for message_id in plan.ids}
    result.tallies = {
        channel: tally(targets, (a for a in arrivals if a.channel == channel), None) for channel in CHANNELS
    }
    return result


def configuration(webhook: str, homeserver: str) -> str:
    """Its configuration file: a receiver for each channel, Matrix's at `homeserver`, and every alert to all of them."""
    routes = "".join(f"    - {{receiver: {channel}, continue: true}}\n" for channel in CHANNELS)
    urls = {channel: f"{homeserver if channel == 'matrix' else webhook}/{channel}" for channel in CHANNELS}
    receivers = "".join(
        f"  - name: {channel}\n    webhook_configs:\n      - {{url: '{url}', send_resolved: false}}\n"
        for channel, url in urls.items()
    )
    return _ROUTE.format(routes=routes.rstrip(), receivers=receivers.rstrip())


async def _starts(url: str, log: Path) -> None:
    """Until it is ready. Raises AlertmanagerProblem."""
    try:
        async with asyncio.timeout(START_TIMEOUT_SECONDS), httpx.AsyncClient(base_url=url) as http:
            while True:
                with suppress(httpx.TransportError):
                    if (await http.get("/-/ready")).status_code == 200:
                        return
                await asyncio.sleep(_RETRY_SECONDS)
    except TimeoutError:
        raise AlertmanagerProblem(
            f"Alertmanager does not start: {log_end(log)}; apt-get install --no-install-recommends {PACKAGE}, and start again"
        ) from None


async def _besiege(
    plan: Plan, url: str, alertmanager: Victim, homeserver: Victim, logs: list[Path], say: Say, *, post_again: bool
) -> Result:
    loop = asyncio.get_running_loop()
    began, calm, result = loop.time(), asyncio.Event(), Result("", plan.messages, {})
    posted: list[JsonObject] = []
    async with asyncio.TaskGroup() as group, httpx.AsyncClient(base_url=url, timeout=REQUEST_TIMEOUT_SECONDS) as http:
        group.create_task(alertmanager.haunt(beat(plan.kill_every_seconds), calm), name="killer")
        again = group.create_task(_post_again(http, posted), name="posts again") if post_again else None
        restarts = group.create_task(_restart(plan, posted, homeserver, result, say), name="restarts")
        for number, message_id in enumerate(plan.ids):
            await asyncio.sleep(began + number * plan.feed_seconds / plan.messages - loop.time())
            alert = _alert(message_id, plan)
            await _post(http, [alert])
            posted.append(alert)
        say(f"all {plan.messages} alerts posted")
        await restarts
        await _arrives_no_more(logs)
        calm.set()
        result.kill_seconds = loop.time() - began
        say(f"{alertmanager.kills} kills in {result.kill_seconds:.0f} s")
        # What is still to come may come in peace; whoever posts again has another round for it.
        await asyncio.sleep(REPEAT_SECONDS if post_again else 0)
        await _arrives_no_more(logs)
        if again is not None:
            again.cancel()
    result.calm_seconds = loop.time() - began - result.kill_seconds
    result.kills, result.ended_by_itself = alertmanager.kills, alertmanager.ended_by_itself
    return result


async def _post(http: httpx.AsyncClient, alerts: list[JsonObject]) -> None:
    """Post until Alertmanager has said that it has them."""
    while True:
        with suppress(httpx.TransportError):
            if (await http.post("/api/v2/alerts", json=alerts)).status_code == 200:
                return
        await asyncio.sleep(_RETRY_SECONDS)


async def _post_again(http: httpx.AsyncClient, posted: list[JsonObject]) -> None:
    while True:
        await asyncio.sleep(REPEAT_SECONDS)
        for start in range(0, len(posted), 64):
            await _post(http, posted[start : start + 64])


async def _restart(plan: Plan, posted: list[JsonObject], homeserver: Victim, result: Result, say: Say) -> None:
    """Kill what stands for the homeserver and start it again when the plan says so."""
    for share in plan.homeserver_restarts_at:
        while len(posted) < share * plan.messages:  # noqa: ASYNC110 - who posts tells nobody
            await asyncio.sleep(_RETRY_SECONDS)
        say(f"{len(posted)} alerts posted; what stands for the homeserver is killed and started again")
        await homeserver.kill()
        await asyncio.sleep(plan.down_seconds)
        await homeserver.start()
        result.homeserver_restarts += 1


async def _arrives_no_more(logs: list[Path]) -> None:
    """Until nothing has arrived for a while."""
    size = -1
    while (now := sum(log.stat().st_size for log in logs)) != size:
        size = now
        await asyncio.sleep(QUIET_SECONDS)


def _alert(message_id: str, plan: Plan) -> JsonObject:
    now = datetime.now(UTC)
    return {
        "labels": {"alertname": "disk_full", "message": message_id, "team": group_name(plan.group_of(message_id))},
        "annotations": {"summary": "a disk is full"},
        "startsAt": now.isoformat(),
        "endsAt": (now + FIRING).isoformat(),
    }


async def _version(program: list[str]) -> str:
    said = await asyncio.create_subprocess_exec(
        *program, "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await said.communicate()
    return out.decode().partition(" (")[0].replace("alertmanager, version", "Alertmanager")


async def _quietly(command: list[str]) -> int:
    with (FOLDER / "install.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=FOLDER, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        async with asyncio.timeout(INSTALL_TIMEOUT_SECONDS):
            return await process.wait()
    except TimeoutError:
        process.kill()
        return await process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
