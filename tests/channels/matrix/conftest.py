"""A router's user, another person, and a channel that is closed at the end."""

from collections.abc import AsyncIterator, Callable

import pytest

from router.channels.matrix import KIND
from router.channels.matrix.channel import MatrixChannel
from router.demo.matrix_user import MatrixUser
from router.demo.synapse import Synapse
from router.settings import MatrixSettings
from tests.channels.matrix.said import token_settings
from tests.servers.synapse import new_user

Open = Callable[[MatrixSettings], MatrixChannel]


@pytest.fixture
async def open_channel() -> AsyncIterator[Open]:
    """Opens channels and closes them at the end of the test."""
    opened: list[MatrixChannel] = []

    def open_one(settings: MatrixSettings) -> MatrixChannel:
        assert KIND.missing(settings) is None
        channel = KIND.open(settings)
        assert isinstance(channel, MatrixChannel)
        opened.append(channel)
        return channel

    yield open_one
    for channel in opened:
        await channel.close()


@pytest.fixture
async def bot(synapse: Synapse) -> MatrixUser:
    return await new_user(synapse, "router")


@pytest.fixture
async def alice(synapse: Synapse) -> MatrixUser:
    return await new_user(synapse, "alice")


class HandClock:
    """A clock that goes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def channel(bot: MatrixUser, clock: HandClock) -> AsyncIterator[MatrixChannel]:
    """A channel that sends as `bot`, by access token, and goes by `clock`."""
    channel = MatrixChannel(token_settings(bot), clock=clock)
    yield channel
    await channel.close()
