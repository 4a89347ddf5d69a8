"""The Matrix channel and the answers that Synapse does not give: proxies' pages, odd limits, silence, broken connections."""

import asyncio
import logging
import ssl
import uuid
from collections.abc import AsyncIterator

import pytest

from router.channels.base import Outcome, Rejected, Retry, Scope, Sent
from router.channels.matrix import KIND
from router.channels.matrix.client import MAX_ANSWER_BYTES
from router.documents.json_types import JsonObject, JsonValue
from router.settings import MatrixSettings
from tests.channels.matrix.conftest import Open
from tests.channels.matrix.said import outgoing, rejected
from tests.channels.raw_server import RawServer, answer, read_request, reset
from tests.peers.homeserver import PASSWORD, TOKEN, USER, HomeserverPeer
from tests.peers.stand_in import Answer, Hang, Reset, Step
from tests.servers.smtp import server_tls

SEND, STATE = "/send/m.room.message", "/state/"
HTML = "<html><body><h1>502 Bad Gateway</h1></body></html>"


@pytest.fixture
async def peer() -> AsyncIterator[HomeserverPeer]:
    async with HomeserverPeer() as peer:
        yield peer


def settings(peer: HomeserverPeer, **more: object) -> MatrixSettings:
    given = {"homeserver": peer.url, "access_token": TOKEN, "attempt_timeout_seconds": 5, **more}
    return MatrixSettings.model_validate({name: value for name, value in given.items() if value is not None})


def by_password(peer: HomeserverPeer, password: str = PASSWORD) -> MatrixSettings:
    return settings(peer, access_token=None, user_id=USER, password=password)


def expect(outcome: Outcome, wanted: Outcome) -> None:
    """Everything but the words must be as wanted; of the words, those that are given."""
    assert type(outcome) is type(wanted)
    assert outcome.code == wanted.code
    if isinstance(outcome, Retry) and isinstance(wanted, Retry):
        assert (outcome.after_seconds, outcome.pauses) == (wanted.after_seconds, wanted.pauses)
        assert outcome.host_is_down is wanted.host_is_down
        assert wanted.reason in outcome.reason
    if isinstance(outcome, Rejected) and isinstance(wanted, Rejected):
        assert outcome.scope == wanted.scope
        assert wanted.reason in outcome.reason


async def _hang_up(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    return


def limited(**more: JsonValue) -> JsonObject:
    return {"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", **more}


ODD_ANSWERS = [
    (Answer(200, HTML), Retry("not a homeserver", 200)),
    (Answer(200, {}), Retry("not a homeserver", 200)),
    (Answer(200, []), Retry("not a homeserver", 200)),
    (Answer(200, None), Retry("not a homeserver", 200)),
    (Answer(200, {"event_id": 7}), Retry("not a homeserver", 200)),
    (Answer(404, HTML), Retry("not a homeserver", 404)),
    (Answer(403, [1]), Retry("not a homeserver", 403)),
    (Answer(502, HTML), Retry("not available", 502, host_is_down=True)),
    (Answer(503, None, {"Retry-After": "20"}), Retry("not available", 503, 20.0, host_is_down=True)),
    (
        Answer(504, {"errcode": "M_UNKNOWN", "error": "x"}),
        Retry("not available at the moment: “x”", "M_UNKNOWN", host_is_down=True),
    ),
    (Answer(502, {"event_id": "$not-really"}), Retry("not available", 502, host_is_down=True)),
    (Answer(413, HTML), Rejected("MAX_CONTENT_BYTES", Scope.MESSAGE, 413)),
    (
        Answer(429, limited(retry_after_ms=9000), {"Retry-After": "2"}),
        Retry("", "M_LIMIT_EXCEEDED", 2.0, Scope.CHANNEL),
    ),
    (Answer(429, limited(retry_after_ms=1500)), Retry("", "M_LIMIT_EXCEEDED", 1.5, Scope.CHANNEL)),
    (Answer(429, limited(retry_after_ms="1500")), Retry("", "M_LIMIT_EXCEEDED", 5.0, Scope.CHANNEL)),
    (Answer(429, limited()), Retry("", "M_LIMIT_EXCEEDED", 5.0, Scope.CHANNEL)),
    (Answer(429, HTML, {"Retry-After": "3"}), Retry("", 429, 3.0, Scope.CHANNEL)),
    (
        Answer(429, limited(), {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Retry("", "M_LIMIT_EXCEEDED", 0.0, Scope.CHANNEL),
    ),
    # Without a text: nio would not read the code.
    (Answer(429, {"errcode": "M_LIMIT_EXCEEDED"}), Retry("", "M_LIMIT_EXCEEDED", 5.0, Scope.CHANNEL)),
    (Answer(403, {"errcode": "M_USER_SUSPENDED"}), Rejected(f"{USER} is locked", Scope.CHANNEL, "M_USER_SUSPENDED")),
    (Answer(400, {"errcode": 7, "error": 7}), Retry("not a homeserver", 400)),
    (Answer(400, {"errcode": "M_BAD_JSON", "error": "x"}), Rejected("malformed", Scope.MESSAGE, "M_BAD_JSON")),
    (Answer(404, {"errcode": "M_UNRECOGNIZED", "error": "x"}), Rejected("HOMESERVER", Scope.CHANNEL, "M_UNRECOGNIZED")),
]


@pytest.mark.parametrize(("step", "wanted"), ODD_ANSWERS)
async def test_odd_answers_to_a_message(
    peer: HomeserverPeer, open_channel: Open, step: Answer, wanted: Retry | Rejected
) -> None:
    peer.next(step, path=SEND)
    expect(await open_channel(settings(peer)).send(outgoing("!room")), wanted)
    assert len(peer.to(SEND)) == 1


@pytest.mark.parametrize(
    ("step", "wanted"),
    [row for row in ODD_ANSWERS if not (row[0].status == 200 and isinstance(row[0].body, dict))],
)
async def test_odd_answers_to_the_question_for_state(
    peer: HomeserverPeer, open_channel: Open, step: Answer, wanted: Retry | Rejected
) -> None:
    peer.next(step, path=STATE)
    expect(await open_channel(settings(peer)).send(outgoing("!room")), wanted)
    assert peer.to(SEND) == []


async def test_an_answer_without_end_is_not_read_to_the_end(peer: HomeserverPeer, open_channel: Open) -> None:
    peer.next(Answer(200, "x" * (MAX_ANSWER_BYTES + 1)), path=SEND)
    channel = open_channel(settings(peer))
    expect(await channel.send(outgoing("!room")), Retry("not a homeserver", 200))
    assert isinstance(await channel.send(outgoing("!room")), Sent)


@pytest.mark.parametrize("kind", ["m.room.tombstone", "m.room.encryption"])
@pytest.mark.parametrize(
    "step",
    [
        Answer(500, {"errcode": "M_UNKNOWN", "error": "x"}),
        Answer(429, limited()),
        Answer(404, {"errcode": "M_UNRECOGNIZED", "error": "x"}),
        Answer(404, HTML),
        Answer(404, {}),
        Answer(403, {"errcode": "M_GUEST_ACCESS_FORBIDDEN", "error": "x"}),
        Answer(401, HTML),
        Answer(200, HTML),
        Answer(200, []),
        Hang(),
        Reset(),
    ],
)
async def test_nothing_is_sent_while_it_is_unknown_whether_the_room_is_encrypted(
    peer: HomeserverPeer, open_channel: Open, kind: str, step: Step
) -> None:
    # Twice, since aiohttp itself repeats a GET whose connection broke.
    peer.next(step, step, path=kind)
    outcome = await open_channel(settings(peer, attempt_timeout_seconds=0.5)).send(outgoing("!room"))
    assert isinstance(outcome, Retry | Rejected)
    assert peer.to(SEND) == []


@pytest.mark.parametrize("steps", [[Hang(taken=True)], [Reset(taken=True)] * 2])
async def test_silence_and_broken_connections_are_tried_again(
    peer: HomeserverPeer, open_channel: Open, steps: list[Step]
) -> None:
    peer.next(*steps, path=SEND)
    channel = open_channel(settings(peer, attempt_timeout_seconds=0.5))
    began = asyncio.get_running_loop().time()
    outcome = await channel.send(outgoing("!room"))
    assert asyncio.get_running_loop().time() - began < 0.5
    assert isinstance(outcome, Retry)
    assert (outcome.after_seconds, outcome.pauses) == (None, None)
    assert outcome.reason
    assert isinstance(await channel.send(outgoing("!room")), Sent)


async def test_the_transaction_id_is_that_of_the_delivery(peer: HomeserverPeer, open_channel: Open) -> None:
    key = uuid.uuid4()
    outcome = await open_channel(settings(peer)).send(outgoing("!a/b?c#d", key=key))
    assert outcome == Sent(f"$of-{key}", 200)
    (arrival,) = peer.to(SEND)
    assert arrival.path == f"/_matrix/client/v3/rooms/!a/b?c#d/send/m.room.message/{key}"


async def test_nobody_there(open_channel: Open) -> None:
    async with RawServer(_hang_up) as closed:
        pass
    channel = open_channel(MatrixSettings(homeserver=f"http://{closed.host}", access_token=TOKEN))
    outcome = await channel.send(outgoing("!room"))
    assert isinstance(outcome, Retry)
    assert "connection refused" in outcome.reason
    assert closed.host not in outcome.reason


async def test_a_server_that_hangs_up(open_channel: Open) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        reset(writer)

    async def lie_about_the_length(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer(b'{"user_id":', length=500))

    async def no_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\r\n")

    for script in (hang_up, lie_about_the_length, no_http):
        async with RawServer(script) as server:
            channel = open_channel(MatrixSettings(homeserver=f"http://{server.host}", access_token=TOKEN))
            outcome = await channel.send(outgoing("!room"))
            assert isinstance(outcome, Retry)
            assert server.host not in outcome.reason
            (found,) = await channel.check()
            assert not found.ok


async def test_a_certificate_that_is_not_to_be_trusted(open_channel: Open) -> None:
    async with RawServer(_hang_up, tls=server_tls()) as server:
        channel = open_channel(MatrixSettings(homeserver=f"https://{server.host}", access_token=TOKEN))
        outcome = await channel.send(outgoing("!room"))
    assert isinstance(outcome, Retry)
    assert "the TLS certificate of the homeserver is not to be trusted" in outcome.reason
    assert ssl.OPENSSL_VERSION not in outcome.reason


async def test_many_sends_log_in_once(peer: HomeserverPeer, open_channel: Open) -> None:
    channel = open_channel(by_password(peer))
    outcomes = await asyncio.gather(*(channel.send(outgoing("!room")) for _ in range(10)))
    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    assert peer.logins == 1
    peer.token = "syt_ended"
    outcomes = await asyncio.gather(*(channel.send(outgoing("!room")) for _ in range(10)))
    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    assert peer.logins == 2
    bodies = [arrival.body for arrival in peer.to("/login")]
    assert [body["device_id"] for body in bodies if isinstance(body, dict)] == ["NOTIFICATIONROUTER"] * 2


async def test_a_login_that_does_not_hold_is_not_made_for_ever(peer: HomeserverPeer, open_channel: Open) -> None:
    gone = Answer(401, {"errcode": "M_UNKNOWN_TOKEN", "error": f"No such token: {PASSWORD} syt_2"})
    peer.next(gone, gone, path=STATE)
    reason = rejected(await open_channel(by_password(peer)).send(outgoing("!room")), Scope.CHANNEL)
    assert peer.logins == 2
    assert "ROUTER_MATRIX__PASSWORD" in reason
    assert PASSWORD not in reason
    assert "syt_2" not in reason


async def test_a_login_that_is_limited(peer: HomeserverPeer, open_channel: Open) -> None:
    peer.next(Answer(429, limited(), {"Retry-After": "7"}), path="/login")
    channel = open_channel(by_password(peer))
    expect(await channel.send(outgoing("!room")), Retry("", "M_LIMIT_EXCEEDED", 7.0, Scope.CHANNEL))
    assert isinstance(await channel.send(outgoing("!room")), Sent)


async def test_a_limit_on_new_rooms_pauses_only_that_target(peer: HomeserverPeer, open_channel: Open) -> None:
    peer.next(Answer(429, limited(), {"Retry-After": "60"}), path="/createRoom")
    channel = open_channel(settings(peer))
    expect(await channel.send(outgoing("@a:example.org")), Retry("", "M_LIMIT_EXCEEDED", 60.0, Scope.TARGET))
    assert isinstance(await channel.send(outgoing("!room")), Sent)


async def test_a_hidden_profile_is_no_obstacle(peer: HomeserverPeer, open_channel: Open) -> None:
    peer.next(Answer(403, {"errcode": "M_FORBIDDEN", "error": "Profile isn't available"}), path="/profile/")
    assert isinstance(await open_channel(settings(peer)).send(outgoing("@a:example.org")), Sent)
    assert peer.direct_chats == {"@a:example.org": ["!made"]}


async def test_direct_chats_are_not_overwritten_when_they_cannot_be_read(
    peer: HomeserverPeer, open_channel: Open
) -> None:
    before: JsonObject = {"@b:example.org": ["!theirs"]}
    peer.direct_chats = before
    good = Answer(200, before)
    for bad in (Answer(500, None), Answer(200, HTML), Answer(404, HTML)):
        peer.next(good, bad, path="m.direct")
        assert isinstance(await open_channel(settings(peer)).send(outgoing("@a:example.org")), Retry)
    assert peer.direct_chats == before


async def test_the_token_is_never_logged(
    peer: HomeserverPeer, open_channel: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    channel = open_channel(by_password(peer))
    peer.next(Answer(429, limited(access_token=TOKEN)), Answer(200, {"event_id": 7}), path=SEND)
    for _ in range(3):
        await channel.send(outgoing("!room", "a private matter"))
    assert peer.logins == 1
    for secret in ("syt_", PASSWORD, "a private matter"):
        assert secret not in caplog.text


async def test_check_says_when_a_token_has_no_device(peer: HomeserverPeer, open_channel: Open) -> None:
    peer.next(Answer(200, {"user_id": USER}), Answer(200, {"user_id": USER}), path="/whoami")
    versions, whoami = await open_channel(settings(peer)).check()
    assert (versions.ok, versions.detail) == (True, "speaks Matrix up to v1.12")
    assert (whoami.ok, whoami.detail) == (True, f"{USER}, no device, so repeats are told for an hour at most")


@pytest.mark.parametrize("body", [{}, {"versions": []}, {"versions": "v1"}, HTML, None])
async def test_check_of_what_is_no_homeserver(peer: HomeserverPeer, open_channel: Open, body: JsonValue) -> None:
    peer.next(Answer(200, body), path="/versions")
    (found,) = await open_channel(settings(peer)).check()
    assert (found.what, found.ok) == ("versions", False)
    assert "ROUTER_MATRIX__HOMESERVER" in found.detail


async def test_check_ends_in_time(peer: HomeserverPeer, open_channel: Open) -> None:
    peer.next(Hang(), path="/whoami")
    began = asyncio.get_running_loop().time()
    versions, whoami = await open_channel(settings(peer, attempt_timeout_seconds=0.6)).check()
    assert asyncio.get_running_loop().time() - began < 0.6
    assert (versions.ok, whoami.ok) == (True, False)


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({}, "ROUTER_MATRIX__HOMESERVER and ROUTER_MATRIX__ACCESS_TOKEN"),
        ({"access_token": "t"}, "ROUTER_MATRIX__HOMESERVER"),
        ({"homeserver": "matrix.example.org", "access_token": "t"}, "ROUTER_MATRIX__HOMESERVER must be an address"),
        ({"homeserver": "https://m.example.org"}, "ROUTER_MATRIX__ACCESS_TOKEN (or ROUTER_MATRIX__USER_ID and"),
        ({"homeserver": "https://m.example.org", "password": "p"}, "set ROUTER_MATRIX__USER_ID"),
        ({"homeserver": "https://m.example.org", "password": "p", "user_id": "router"}, "must be a whole user id"),
        ({"homeserver": "https://m.example.org", "access_token": "t\n"}, "ROUTER_MATRIX__ACCESS_TOKEN has a space"),
    ],
)
def test_what_is_missing(given: JsonObject, hint: str) -> None:
    assert hint in str(KIND.missing(MatrixSettings.model_validate(given)))


@pytest.mark.parametrize(
    "given",
    [
        {"homeserver": "https://m.example.org", "access_token": "t"},
        {"homeserver": "http://synapse:8008/", "access_token": "t", "user_id": USER},
        {"homeserver": "https://m.example.org/base", "password": "p", "user_id": USER},
    ],
)
def test_what_suffices(given: JsonObject) -> None:
    assert KIND.missing(MatrixSettings.model_validate(given)) is None
