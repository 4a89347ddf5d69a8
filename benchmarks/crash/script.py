"""What to compare the router with: the script that a careful person writes with Apprise. Run in `.local/bench`.

It follows `_changes` from a saved `since`, looks the group up in the mapping document, sends on all channels at once, tries three
times, writes a status document, and only then moves `since` on. What has a status document is not sent again. It outlives a
CouchDB that is down. `python script.py CONFIG`, a JSON file; see `script_run.py`.
"""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import apprise  # type: ignore[import-not-found, unused-ignore]
import requests  # type: ignore[import-untyped, unused-ignore]
from apprise.plugins.slack import NotifySlack  # type: ignore[import-not-found, unused-ignore]

TRIES = 3
PAUSES_SECONDS = (1, 2)
"""Between the tries."""
DATABASE_PAUSE_SECONDS = 0.2
TIMEOUT_SECONDS = 60
POLL_MILLISECONDS = 10_000
ROWS = 50

Document = dict[str, Any]


class Notifier:
    """Everything the script needs, read from its configuration."""

    def __init__(self, config: dict[str, str]) -> None:
        self.config = config
        self.http = requests.Session()
        self.http.auth = (config["couchdb_user"], config["couchdb_password"])
        self.http.headers["Accept"] = "application/json"
        self.pool = ThreadPoolExecutor(8)
        # With a place on disk, Apprise need not ask Matrix who it is and join the room again after each start.
        self.asset = apprise.AppriseAsset(storage_path=config["storage"], storage_mode="flush")
        # No setting of Apprise's: where the stand-in for Slack is.
        NotifySlack.api_url = config["slack_api_url"] + "/{}"

    def run(self) -> None:
        """Follow the changes for ever."""
        how = {"feed": "longpoll", "include_docs": "true", "limit": str(ROWS), "timeout": str(POLL_MILLISECONDS)}
        while True:
            found = self.couch("GET", "_changes", {**how, "since": self.since()})
            mapping = self.couch("GET", self.config["mapping_id"])["mapping"] if found["results"] else {}
            for row in found["results"]:
                document = row.get("doc") or {}
                if "to" in document.get("content", {}):
                    self.notify(document, mapping)
                self.save(row["seq"])

    def notify(self, document: Document, mapping: dict[str, dict[str, list[str]]]) -> None:
        """Send one message to its group, all channels at once."""
        content = document["content"]
        done = [
            self.pool.submit(self.deliver, str(document["_id"]), content["body"], channel, target)
            for channel, targets in mapping[content["to"]].items()
            for target in targets
        ]
        for one in done:
            one.result()

    def deliver(self, message_id: str, body: str, channel: str, target: str) -> None:
        """Send to one target, unless that was done before, and write down what became of it."""
        status_id = f"status:{message_id}:{channel}"
        if "_id" in self.couch("GET", status_id):
            return
        # One of its own for each message: Apprise gives each a transaction id, which its tries then share.
        sender = apprise.Apprise(asset=self.asset)
        sender.add(self.url(channel, target))
        tries, sent = 0, False
        while not sent and tries < TRIES:
            if tries:
                time.sleep(PAUSES_SECONDS[tries - 1])
            tries += 1
            sent = bool(sender.notify(body=body, body_format="text"))
        status = {
            "message_id": message_id,
            "channel": channel,
            "status": "COMPLETE" if sent else "FAILED",
            "tries": tries,
        }
        self.couch("PUT", status_id, document=status)

    def url(self, channel: str, target: str) -> str:
        """The Apprise URL of a target."""
        config = self.config
        if channel == "matrix":
            return f"matrix://{quote(config['matrix_token'], safe='')}@{config['matrix']}/{quote(target)}?hsreq=no&discovery=no"
        if channel == "email":
            return f"mailto://{config['smtp']}?from=script@example.org&to={target}&mode=insecure"
        if channel == "slack":
            return f"slack://{config['slack_token']}/+{target}?image=no&footer=no"
        # A Sphinx bot is no service that Apprise knows: its JSON is made from json:// by naming the fields.
        fields = f":message=content&:dest={target.partition('_')[0]}&:version=&:title=&:type=&:attachments="
        return f"json://{config['sphinx']}/send?+x-admin-token={quote(config['sphinx_token'])}&{fields}"

    def couch(
        self, method: str, path: str, params: dict[str, str] | None = None, document: Document | None = None
    ) -> Document:
        """Ask CouchDB, however often it takes. 404 and 409 are answers too."""
        url = f"{self.config['couchdb']}/{quote(path, safe='')}"
        while True:
            try:
                answer = self.http.request(method, url, params=params, json=document, timeout=TIMEOUT_SECONDS)
                if answer.status_code in (200, 201, 202, 404, 409):
                    found: Document = answer.json()
                    return found
            except requests.RequestException:
                pass
            time.sleep(DATABASE_PAUSE_SECONDS)

    def since(self) -> str:
        """Where to go on."""
        path = Path(self.config["since"])
        return path.read_text() if path.exists() else "0"

    def save(self, seq: object) -> None:
        """Remember where to go on; whole or not at all, whenever we are killed."""
        path = Path(self.config["since"])
        new = path.with_suffix(".new")
        with new.open("w") as file:
            file.write(seq if isinstance(seq, str) else json.dumps(seq))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)


if __name__ == "__main__":
    Notifier(json.loads(Path(sys.argv[1]).read_text())).run()
