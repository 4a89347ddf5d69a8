"""What the channel asks of a room before it sends: how often, what makes it ask again, and what it never forgets."""

from collections.abc import AsyncIterator

import pytest

from router.channels.base import Outcome, Rejected, Retry, Scope, Sent
from router.channels.matrix import rooms
from router.channels.matrix.channel import MatrixChannel
from router.channels.matrix.rooms import ROOM_FRESH_SECONDS
from router.documents.json_types import JsonObject
from router.settings import MatrixSettings
from tests.channels.matrix.conftest import HandClock
from tests.channels.matrix.said import outgoing, rejected
from tests.peers.homeserver import TOKEN, HomeserverPeer
from tests.peers.stand_in import Answer

SEND, STATE, TOMBSTONE, ENCRYPTION = "/send/m.room.message", "/state/", "m.room.tombstone", "m.room.encryption"
FORBIDDEN: JsonObject = {"errcode": "M_FORBIDDEN", "error": "no"}
ENCRYPTED = Answer(200, {"algorithm": "m.megolm.v1.aes-sha2"})


class Sender:
    """A channel, the homeserver it talks to, and how often that was asked for state."""

    def __init__(self, peer: HomeserverPeer, channel: MatrixChannel) -> None:
        self.peer = peer
        self.channel = channel

    async def send(self, room: str = "!room") -> Outcome:
        return await self.channel.send(outgoing(room))

    @property
    def questions(self) -> int:
        return len(self.peer.to(STATE))

    @property
    def messages(self) -> int:
        return len(self.peer.to(SEND))


@pytest.fixture
async def sender(clock: HandClock) -> AsyncIterator[Sender]:
    async with HomeserverPeer() as peer:
        settings = MatrixSettings.model_validate(
            {"homeserver": peer.url, "access_token": TOKEN, "attempt_timeout_seconds": 5}
        )
        channel = MatrixChannel(settings, clock=clock)
        yield Sender(peer, channel)
        await channel.close()


async def test_a_room_is_looked_at_once_in_a_while(sender: Sender, clock: HandClock) -> None:
    for _ in range(10):
        assert isinstance(await sender.send(), Sent)
    assert (sender.questions, sender.messages) == (2, 10)
    clock.now += ROOM_FRESH_SECONDS - 1
    await sender.send()
    assert sender.questions == 2
    clock.now += 1
    await sender.send()
    assert (sender.questions, sender.messages) == (4, 12)


async def test_what_is_known_to_be_encrypted_is_never_asked_or_sent_to_again(sender: Sender, clock: HandClock) -> None:
    await sender.send()
    clock.now += ROOM_FRESH_SECONDS
    sender.peer.next(ENCRYPTED, path=ENCRYPTION)
    for _ in range(3):
        assert "is encrypted" in rejected(await sender.send(), Scope.TARGET)
        # The stand-in itself would now say that it is not.
        clock.now += 1_000_000
    assert (sender.questions, sender.messages) == (4, 1)


@pytest.mark.parametrize("errcode", ["M_FORBIDDEN", "M_NOT_FOUND"])
async def test_a_room_that_refuses_is_looked_at_afresh_in_the_same_attempt(sender: Sender, errcode: str) -> None:
    await sender.send()
    sender.peer.next(Answer(403, {"errcode": errcode, "error": "no"}), path=SEND)
    sender.peer.next(ENCRYPTED, path=ENCRYPTION)
    assert "is encrypted" in rejected(await sender.send(), Scope.TARGET)
    assert (sender.questions, sender.messages) == (4, 2)


async def test_a_room_that_goes_on_refusing_is_looked_at_each_time(sender: Sender) -> None:
    refusal = Answer(403, FORBIDDEN)
    for attempt in range(1, 4):
        sender.peer.next(refusal, refusal, path=SEND)
        assert "power level" in rejected(await sender.send(), Scope.TARGET)
        assert sender.questions == 4 * attempt


@pytest.mark.parametrize(
    "answer", [Answer(429, {"errcode": "M_LIMIT_EXCEEDED"}), Answer(502, "x"), Answer(413, {"errcode": "M_TOO_LARGE"})]
)
async def test_other_refusals_say_nothing_of_the_room(sender: Sender, answer: Answer) -> None:
    sender.peer.next(answer, path=SEND)
    assert isinstance(await sender.send(), Retry | Rejected)
    assert isinstance(await sender.send(), Sent)
    assert sender.questions == 2


@pytest.mark.parametrize("question", [TOMBSTONE, ENCRYPTION])
async def test_a_question_without_an_answer_is_asked_again(sender: Sender, clock: HandClock, question: str) -> None:
    await sender.send()
    clock.now += ROOM_FRESH_SECONDS
    for _ in range(2):
        sender.peer.next(Answer(500, "x"), path=question)
        assert isinstance(await sender.send(), Retry)
    assert sender.messages == 1
    assert isinstance(await sender.send(), Sent)


async def test_a_replacement_is_remembered_and_forgotten_when_it_refuses(sender: Sender) -> None:
    sender.peer.next(Answer(200, {"replacement_room": "!new"}), path=f"!old/state/{TOMBSTONE}")
    for _ in range(3):
        assert isinstance(await sender.send("!old"), Sent)
    assert [arrival.path.split("/")[5] for arrival in sender.peer.to(SEND)] == ["!new"] * 3
    assert sender.questions == 3
    # By now the stand-in knows nothing of a replacement.
    sender.peer.next(Answer(403, FORBIDDEN), path="!new/send")
    assert isinstance(await sender.send("!old"), Sent)
    assert sender.peer.to(SEND)[-1].path.split("/")[5] == "!old"


async def test_the_room_not_asked_for_longest_is_forgotten(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "MAX_ROOMS", 2)
    for room in ("!a", "!b", "!a", "!c", "!a"):
        await sender.send(room)
    assert sender.questions == 6
    await sender.send("!b")
    assert sender.questions == 8
