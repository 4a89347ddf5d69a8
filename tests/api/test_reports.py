"""What became of messages, for services and admins: by message, by filters, in numbers."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from router.couch.database import Database
from router.documents.delivery import Delivery, Status, delivery_id, delivery_uuid, message_delivery_id
from tests.api.serving import Api, said

START = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)


def delivery(number: int, channel: str, status: str, event: str | None = None, user: str | None = None) -> Delivery:
    """The message `m{number}`, an hour after the one before, on one channel."""
    moment = START + timedelta(hours=number)
    its_id = delivery_id(f"m{number}", channel, "x")
    return Delivery(
        id=its_id, message_id=f"m{number}", channel=channel, target="x", status=Status(status), uuid=delivery_uuid(its_id),
        created_at=moment, updated_at=moment, event=event, user=user,
    )  # fmt: skip


async def filled(database: Database) -> None:
    """Forty deliveries: ten messages, two channels, two statuses in turn; and one message that leads nowhere."""
    deliveries = [
        delivery(
            n,
            f"{channel}{copy}",
            "COMPLETE" if n % 2 else "FAILED",
            "failed" if n < 5 else None,
            "alice" if n == 3 else None,
        )
        for n, channel, copy in product(range(10), ("email", "slack"), ("", "2"))
    ]
    nowhere = Delivery(
        id=message_delivery_id("lost"), message_id="lost", status=Status.UNROUTABLE,
        uuid=delivery_uuid("lost"), created_at=START, updated_at=START,
    )  # fmt: skip
    await database.bulk([each.to_document() for each in (*deliveries, nowhere)])


async def test_what_became_of_a_message(api: Api, database: Database) -> None:
    await filled(database)
    await database.put({"_id": "m1", "content": {"to": "#a", "body": "x"}})
    await database.put({"_id": "new/one", "content": {"to": "#a", "body": "x"}})
    bot = api.client("bot", roles=["service"])
    body = (await bot.get("/v1/messages/m1")).raise_for_status().json()
    assert (body["message_id"], body["exists"], len(body["deliveries"])) == ("m1", True, 4)
    assert sorted(each["channel"] for each in body["deliveries"]) == ["email", "email2", "slack", "slack2"]
    assert not any(key.startswith("_") for each in body["deliveries"] for key in each)
    assert (await bot.get("/v1/messages/lost")).json()["exists"] is False
    assert (await bot.get("/v1/messages/new/one")).json() == {"message_id": "new/one", "exists": True, "deliveries": []}
    for name in ("gone", "_design/router", "_security", "%00", "m1:email"):
        said(await bot.get(f"/v1/messages/{name}"), 404, "notifications_m.not_found")


@pytest.mark.parametrize(
    ("params", "count"),
    [
        ({}, 41),
        ({"channel": "email"}, 10),
        ({"status": "FAILED"}, 20),
        ({"status": "UNROUTABLE"}, 1),
        ({"channel": "slack2", "status": "COMPLETE"}, 5),
        ({"event": "failed"}, 20),
        ({"user": "alice", "channel": "email"}, 1),
        ({"from": "2026-11-21T04:00:00Z"}, 20),
        ({"to": "2026-11-21T04:00:00Z"}, 21),
        ({"from": "2026-11-21T01:00:00Z", "to": "2026-11-21T04:00:00+02:00", "channel": "email"}, 1),
        ({"message_id": "m3"}, 4),
        ({"message_id": "m3", "channel": "email", "status": "COMPLETE"}, 1),
        ({"message_id": "m3", "status": "FAILED"}, 0),
        ({"channel": "pigeon"}, 0),
    ],
)
async def test_deliveries_that_fit_latest_first_page_by_page(
    api: Api, database: Database, params: dict[str, str], count: int
) -> None:
    await filled(database)
    admin = api.client("root", roles=["admin"])
    for limit in (7, 200):
        seen: list[tuple[str, str]] = []
        cursor: str | None = None
        for _ in range(50):
            more = {} if cursor is None else {"cursor": cursor}
            body = (
                (await admin.get("/v1/deliveries", params={**params, "limit": limit, **more})).raise_for_status().json()
            )
            assert len(body["deliveries"]) <= limit
            seen += [(each["created_at"], each["id"]) for each in body["deliveries"]]
            cursor = body["next_cursor"]
            if cursor is None:
                break
        assert len(seen) == len(set(seen)) == count
        if "message_id" not in params:
            # Of those that were made at the same moment, the order is CouchDB's own.
            moments = [made for made, _ in seen]
            assert moments == sorted(moments, reverse=True)


@pytest.mark.parametrize(
    "params",
    [
        {"status": "DONE"},
        {"limit": "0"},
        {"from": "yesterday"},
        {"from": "2026-11-21T00:00:00"},
        {"cursor": "x" * 4001},
    ],
)
async def test_filters_that_cannot_be_meant(api: Api, params: dict[str, str]) -> None:
    message = said(
        await api.client("bot", roles=["service"]).get("/v1/deliveries", params=params), 400, "invalid_request"
    )
    assert message.startswith(next(iter(params)))


async def test_a_cursor_is_good_for_its_own_list_only(api: Api, database: Database) -> None:
    await filled(database)
    bot = api.client("bot", roles=["service"])
    cursor = (await bot.get("/v1/deliveries", params={"limit": "3", "channel": "email"})).json()["next_cursor"]
    for params in ({"cursor": cursor}, {"cursor": "e30", "channel": "email"}, {"cursor": "!", "channel": "email"},
                   {"cursor": "W" * 4000}, {"cursor": "ü"}):  # fmt: skip
        said(await bot.get("/v1/deliveries", params=params), 400, "notifications_m.invalid_query")


@pytest.mark.parametrize(
    ("group_by", "rows"),
    [
        ("status", [("COMPLETE", 20), ("FAILED", 20), ("UNROUTABLE", 1)]),
        ("day", [("2026-11-20", 5), ("2026-11-21", 36)]),
        ("channel", [("", 1), ("email", 10), ("email2", 10), ("slack", 10), ("slack2", 10)]),
        ("event,status", [("", "COMPLETE", 12), ("", "FAILED", 8), ("", "UNROUTABLE", 1), ("failed", "COMPLETE", 8),
                          ("failed", "FAILED", 12)]),
        ("status,day", [("COMPLETE", "2026-11-21", 20), ("FAILED", "2026-11-20", 4), ("FAILED", "2026-11-21", 16),
                        ("UNROUTABLE", "2026-11-20", 1)]),
    ],
)  # fmt: skip
async def test_numbers(api: Api, database: Database, group_by: str, rows: list[tuple[str | int, ...]]) -> None:
    await filled(database)
    admin = api.client("root", roles=["admin"])
    params = {"from": "2026-11-20", "to": "2026-11-21T12:00:00Z", "group_by": group_by}
    body = (await admin.get("/v1/analytics/deliveries", params=params)).raise_for_status().json()
    assert (body["total"], [tuple(row.values()) for row in body["rows"]]) == (41, rows)
    assert list(body["rows"][0]) == [*group_by.split(","), "count"]
    outside = await admin.get("/v1/analytics/deliveries", params={"from": "2026-10-01", "to": "2026-11-19"})
    assert outside.json() == {"total": 0, "rows": []}


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"from": "2026-11-01"}, "invalid_request"),
        ({"from": "x", "to": "2026-11-02"}, "invalid_request"),
        ({"from": "2026-11-01", "to": "2026-11-02", "group_by": "user"}, "invalid_request"),
        ({"from": "2026-11-01", "to": "2026-11-02", "group_by": ","}, "invalid_request"),
        ({"from": "2026-11-02", "to": "2026-11-01"}, "notifications_m.invalid_query"),
        ({"from": "2025-11-01", "to": "2026-11-02"}, "notifications_m.invalid_query"),
    ],
)
async def test_numbers_that_cannot_be_meant(api: Api, params: dict[str, str], code: str) -> None:
    said(await api.client("bot", roles=["service"]).get("/v1/analytics/deliveries", params=params), 400, code)
