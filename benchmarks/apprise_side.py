"""What to compare fan-out with: Apprise, one notification to many `json://` URLs. Run in `.local/bench`.

Told `{"port": N, "urls": N}`; answers `{"seconds": S, "version": V}` when Apprise says that all were notified.
"""

import json
import sys
import time

import apprise  # type: ignore[import-not-found, unused-ignore]


def notify(port: int, urls: int) -> dict[str, object]:
    """Notify so many URLs of one peer, and say how long that took."""
    targets = apprise.Apprise()
    for number in range(urls):
        if not targets.add(f"json://127.0.0.1:{port}/C{number:08}"):
            raise RuntimeError("Apprise took no URL")
    began = time.monotonic()
    if not targets.notify(title="bench-0000000 Order failed", body="Card declined for order 42, second attempt."):
        raise RuntimeError("Apprise could not notify all")
    return {"seconds": time.monotonic() - began, "version": apprise.__version__}


if __name__ == "__main__":
    for line in sys.stdin:
        plan = json.loads(line)
        sys.stdout.write(json.dumps(notify(plan["port"], plan["urls"])) + "\n")
        sys.stdout.flush()
