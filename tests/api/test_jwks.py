"""The issuer's keys: fetched from a real HTTP server when needed, shared, and never too often."""

import asyncio
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from router.api.jwks import KEEP_SECONDS, MAX_KEYS, MOST_STALE_SECONDS, REFETCH_SECONDS, Jwks
from router.api.token_keys import BadToken
from router.api.tokens import TokenVerifier
from router.channels.http import MAX_REPLY_BYTES
from router.documents.json_types import JsonObject, JsonValue
from router.settings import ApiSettings
from tests.api.issuer import JwksServer, Key, claims, ec_key, forged, jwk, pem, rsa_key, token
from tests.peers.stand_in import Answer, Hang, Reset

UNKNOWN = "the token is signed with a key that its issuer does not have; get a new token"
NAMELESS = "the token does not say (kid) which of its issuer's keys it is signed with"
UNDECIDED = "the key to verify the token by cannot be had just now; try again in a moment"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Issuer:
    """A JWKS server and what reads it, with a clock of their own, for `async with`."""

    def __init__(self, *keys: JsonValue, timeout_seconds: float = 5) -> None:
        self.server = JwksServer(*keys)
        self.clock = Clock()
        self._timeout_seconds = timeout_seconds

    async def __aenter__(self) -> "Issuer":
        await self.server.__aenter__()
        self.jwks = Jwks(self.server.jwks_url, timeout_seconds=self._timeout_seconds, clock=self.clock)
        self.verifier = TokenVerifier(ApiSettings(), self.jwks)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.jwks.close()
        await self.server.__aexit__(None, None, None)

    async def user(self, text: str) -> str:
        return (await self.verifier.verify(text)).user

    async def refusal(self, text: str) -> str:
        with pytest.raises(BadToken) as caught:
            await self.verifier.verify(text)
        assert caught.value.is_undecided == (str(caught.value) == UNDECIDED)
        return str(caught.value)


GOOD = token(ec_key(), "a")


async def test_keys_are_fetched_once_and_kept_for_a_set_time() -> None:
    async with Issuer(jwk(ec_key(), "a"), jwk(rsa_key(), "b")) as issuer:
        for _ in range(3):
            assert await issuer.user(GOOD) == "alice"
            assert await issuer.user(token(rsa_key(), "b")) == "alice"
        assert issuer.server.fetches == 1
        issuer.clock.now += KEEP_SECONDS - 1
        assert await issuer.user(GOOD) == "alice"
        assert issuer.server.fetches == 1
        issuer.clock.now += 1
        assert await issuer.user(GOOD) == "alice"
        assert issuer.server.fetches == 2


async def test_a_key_that_the_issuer_took_back_is_good_no_longer_than_that() -> None:
    async with Issuer(jwk(ec_key(), "a"), jwk(rsa_key(), "b")) as issuer:
        assert await issuer.user(GOOD) == "alice"
        del issuer.server.keys[0]
        issuer.clock.now += KEEP_SECONDS
        assert await issuer.refusal(GOOD) == UNKNOWN


async def test_a_new_key_is_found_as_soon_as_it_may_be_asked_for() -> None:
    async with Issuer(jwk(ec_key(), "a")) as issuer:
        assert await issuer.user(GOOD) == "alice"
        issuer.server.keys.append(jwk(ec_key(1), "new"))
        issuer.clock.now += REFETCH_SECONDS
        assert await issuer.user(token(ec_key(1), "new")) == "alice"
        assert issuer.server.fetches == 2


async def test_forged_names_of_keys_do_not_make_us_hammer_the_issuer() -> None:
    async with Issuer(jwk(ec_key(), "a")) as issuer:
        for number in range(50):
            assert await issuer.refusal(token(ec_key(1), f"forged-{number}")) == UNKNOWN
        assert issuer.server.fetches == 1
        issuer.clock.now += REFETCH_SECONDS
        for number in range(50):
            assert await issuer.refusal(token(ec_key(1), f"forged-{number}")) == UNKNOWN
        assert issuer.server.fetches == 2
        assert await issuer.user(GOOD) == "alice"


async def test_many_who_wait_share_one_fetch() -> None:
    async with Issuer(jwk(ec_key(), "a")) as issuer:
        users = await asyncio.gather(*(issuer.user(GOOD) for _ in range(50)))
        assert users == ["alice"] * 50
        assert issuer.server.fetches == 1


async def test_one_who_goes_away_does_not_break_the_fetch_off_for_the_others() -> None:
    async with Issuer(jwk(ec_key(), "a"), timeout_seconds=0.5) as issuer:
        issuer.server.next(Hang())
        first, second = (asyncio.create_task(issuer.refusal(GOOD)) for _ in range(2))
        await issuer.server.arrived(1)
        first.cancel()
        assert await second == UNDECIDED
        assert first.cancelled()
        assert issuer.server.fetches == 1


async def test_known_keys_work_on_while_the_issuer_does_not() -> None:
    async with Issuer(jwk(ec_key(), "a")) as issuer:
        assert await issuer.user(GOOD) == "alice"
        issuer.server.next(Answer(503), Answer(503), Answer(503))
        for fetches in (2, 3, 4):
            issuer.clock.now += KEEP_SECONDS
            assert await issuer.user(GOOD) == "alice"
            await issuer.server.arrived(fetches)
            # One whose key is not known waits for that fetch. It may be good.
            assert await issuer.refusal(token(ec_key(1), "new")) == UNDECIDED
            assert issuer.server.fetches == fetches
        # It is back, with a new key.
        issuer.server.keys[:] = [jwk(ec_key(1), "new")]
        issuer.clock.now += REFETCH_SECONDS
        assert await issuer.user(token(ec_key(1), "new")) == "alice"
        assert await issuer.refusal(GOOD) == UNKNOWN


async def test_only_the_first_waits_for_an_issuer_that_hangs() -> None:
    async with Issuer(jwk(ec_key(), "a"), timeout_seconds=0.3) as issuer:
        assert await issuer.user(GOOD) == "alice"
        issuer.server.next(Hang(), Hang())
        issuer.clock.now += KEEP_SECONDS
        assert await issuer.user(GOOD) == "alice"  # waits, and takes the old key in the end
        issuer.clock.now += REFETCH_SECONDS
        began = asyncio.get_running_loop().time()
        assert await issuer.user(GOOD) == "alice"
        assert asyncio.get_running_loop().time() - began < 0.2
        await issuer.server.arrived(3)  # asked again, behind its back


async def test_known_keys_are_not_good_for_ever() -> None:
    async with Issuer(jwk(ec_key(), "a")) as issuer:
        assert await issuer.user(GOOD) == "alice"
        issuer.server.next(Answer(503), Answer(503))
        issuer.clock.now += MOST_STALE_SECONDS - 1
        assert await issuer.user(GOOD) == "alice"
        issuer.clock.now += REFETCH_SECONDS
        assert await issuer.refusal(GOOD) == UNDECIDED


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (Answer(404), "it answered 404"),
        (Answer(302, headers={"location": "/jwks"}), "it answered 302"),
        (Answer(200, "<html>"), "its answer is no JWKS: an object with a list of keys"),
        (Answer(200, []), "its answer is no JWKS: an object with a list of keys"),
        (Answer(200, {"keys": {"a": 1}}), "its answer is no JWKS: an object with a list of keys"),
        (Answer(200, {"keys": []}), "its answer has no key for RS256 or ES256"),
        (Answer(200, {"keys": [jwk(ec_key(), "a")], "more": "x" * MAX_REPLY_BYTES}),
         f"its answer did not end within 5 seconds and {MAX_REPLY_BYTES} bytes"),
        (Answer(200, {"keys": [*([5] * MAX_KEYS), jwk(ec_key(), "a")]}), "its answer has no key for RS256 or ES256"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
async def test_a_bad_answer_is_told_in_the_log_and_asked_for_again(step: Answer, reason: str) -> None:
    async with Issuer(jwk(ec_key(), "a")) as issuer:
        issuer.server.next(step, step)
        with capture_logs() as log:
            assert await issuer.refusal(GOOD) == UNDECIDED
            assert await issuer.refusal(GOOD) == UNDECIDED
            assert issuer.server.fetches == 1
            issuer.clock.now += REFETCH_SECONDS
            assert await issuer.refusal(GOOD) == UNDECIDED
            issuer.clock.now += REFETCH_SECONDS
            assert await issuer.user(GOOD) == "alice"
        assert [(line["log_level"], line.get("reason")) for line in log] == [("warning", reason), ("info", None)]


async def test_an_issuer_that_hangs_up_is_undecided() -> None:
    async with Issuer(jwk(ec_key(), "a")) as issuer:
        issuer.server.next(Reset(), Reset())  # aiohttp asks once more by itself
        assert await issuer.refusal(GOOD) == UNDECIDED
        issuer.clock.now += REFETCH_SECONDS
        assert await issuer.user(GOOD) == "alice"


async def test_an_issuer_that_is_not_there_is_undecided() -> None:
    async with JwksServer() as gone:
        url = gone.jwks_url
    keys = Jwks(url)
    try:
        with pytest.raises(BadToken, match="cannot be had just now") as caught:
            await keys.key_for("a")
        assert caught.value.is_undecided
    finally:
        await keys.close()


async def test_a_token_need_not_name_the_only_key() -> None:
    async with Issuer(jwk(ec_key())) as issuer:
        assert await issuer.user(token(ec_key())) == "alice"
    async with Issuer(jwk(ec_key(), "a")) as issuer:
        assert await issuer.user(token(ec_key())) == "alice"
        assert await issuer.refusal(token(ec_key(), "b")) == UNKNOWN
    async with Issuer(jwk(ec_key(), "a"), jwk(ec_key(1), "b")) as issuer:
        for _ in range(5):
            assert await issuer.refusal(token(ec_key())) == NAMELESS
        assert issuer.server.fetches == 1


USELESS: list[JsonValue] = [
    None,
    "key",
    {},
    {"kty": 5},
    {"kty": "RSA"},
    {"kty": "RSA", "n": 5, "e": []},
    {"kty": "RSA", "n": "größe", "e": "AQAB"},
    {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"},
    {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"},
    {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    jwk(ec_key(), alg="ES512"),
    jwk(ec_key(), use="enc"),
    jwk(ec_key(), crv="P-384"),
    jwk(rsa_key(), alg="PS256"),
    jwk(rsa_key(), alg="HS256"),
    jwk(rsa_key(), key_ops=["encrypt"]),
    jwk(rsa_key(), key_ops=5),
    jwk(rsa_key(bits=1024)),
]


@pytest.mark.parametrize("useless", USELESS, ids=range(len(USELESS)))
async def test_keys_that_are_for_something_else_are_passed_over(useless: JsonValue) -> None:
    named: JsonValue = {**useless, "kid": "a"} if isinstance(useless, dict) else useless
    async with Issuer(named, jwk(rsa_key(), "b", use="sig", alg="RS256", key_ops=["verify"])) as issuer:
        assert await issuer.refusal(GOOD) == UNKNOWN
        # The other is then the only one.
        assert await issuer.user(token(rsa_key())) == "alice"


async def test_a_private_key_in_a_jwks_is_read_as_the_public_one() -> None:
    async with Issuer(jwk(rsa_key(), "a", d="AAAA", p="x", oth=[5])) as issuer:
        assert await issuer.user(token(rsa_key(), "a")) == "alice"


@pytest.mark.parametrize("make", [rsa_key, ec_key])
async def test_a_key_of_the_jwks_is_no_secret(make: Callable[[], Key]) -> None:
    async with Issuer(jwk(make(), "a")) as issuer:
        text = forged({"alg": "HS256", "kid": "a"}, claims(), pem(make().public_key()).encode())
        assert await issuer.refusal(text) == "the token is not signed with the algorithm that its key is for"


async def test_no_address_that_a_token_names_is_ever_asked() -> None:
    async with JwksServer(jwk(ec_key(1), "evil")) as elsewhere, Issuer(jwk(ec_key(), "a")) as issuer:
        names: JsonObject = {
            "jku": elsewhere.jwks_url,
            "x5u": elsewhere.jwks_url,
            "jwk": jwk(ec_key(1), "evil"),
        }
        assert await issuer.refusal(token(ec_key(1), "evil", names, iss=elsewhere.url)) == UNKNOWN
        assert await issuer.refusal(token(ec_key(1), "a", names)) == "the token's signature is wrong"
        assert await issuer.user(token(ec_key(), "a", names)) == "alice"
        assert elsewhere.total == 0


async def test_closing_breaks_off_a_fetch_and_lets_nobody_wait() -> None:
    async with Issuer(jwk(ec_key(), "a")) as issuer:
        issuer.server.next(Hang())
        waiting = asyncio.create_task(issuer.refusal(GOOD))
        await issuer.server.arrived(1)
        await issuer.jwks.close()
        async with asyncio.timeout(1):
            assert await waiting == UNDECIDED
