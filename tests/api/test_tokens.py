"""Which tokens are taken, for whom, and the one sentence for each that is not."""

import json
from collections.abc import Callable
from time import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from router.api.missing import fixed_key
from router.api.token_keys import BadToken, OneKey
from router.api.tokens import MAX_TOKEN_BYTES, TokenVerifier, key_source
from router.documents.json_types import JsonObject, JsonValue
from router.inbox.caller import Caller, Role
from router.settings import ApiSettings
from tests.api.issuer import (
    DAY,
    OTHER_SECRET,
    SECRET,
    JwksServer,
    Key,
    claims,
    ec_key,
    forged,
    jwk,
    part,
    pem,
    rsa_key,
    token,
)
from tests.routing.arbitrary import JSON

HS: JsonObject = {"typ": "JWT", "alg": "HS256"}
NO_JWT = "the token is no well-formed JWT"
NO_USER = "the token's sub must be the id of a user, such as alice, not"
WRONG_ALGORITHM = "the token is not signed with the algorithm that its key is for"
WRONG_SIGNATURE = "the token's signature is wrong"


def with_secret(**more: object) -> ApiSettings:
    return ApiSettings.model_validate({"jwt_secret": SecretStr(SECRET), **more})


def with_public_key(key: Key, **more: object) -> ApiSettings:
    return ApiSettings.model_validate({"jwt_public_key": pem(key.public_key()), **more})


async def caller_with(settings: ApiSettings, text: str) -> Caller:
    keys = key_source(settings)
    try:
        return await TokenVerifier(settings, keys).verify(text)
    finally:
        await keys.close()


async def refusal_of(settings: ApiSettings, text: str) -> str:
    """The sentence, which holds nothing of the token and has no chain of errors behind it that does."""
    with pytest.raises(BadToken) as caught:
        await caller_with(settings, text)
    error = caught.value
    assert not error.is_undecided
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    sentence = str(error)
    for secret in (SECRET, *(piece for piece in text.split(".") if len(piece) > 8)):
        assert secret not in sentence
    assert len(sentence) < 200
    return sentence


ALICE = Caller("alice", None, frozenset({Role.USER}))


async def test_a_token_signed_with_the_secret_is_taken() -> None:
    assert await caller_with(with_secret(), token()) == ALICE


@pytest.mark.parametrize("make", [rsa_key, ec_key])
async def test_a_token_is_taken_by_its_public_key(make: Callable[[int], Key]) -> None:
    assert await caller_with(with_public_key(make(0)), token(make(0))) == ALICE
    # Whatever it calls its key: there is no other.
    assert await caller_with(with_public_key(make(0)), token(make(0), "any")) == ALICE
    assert await refusal_of(with_public_key(make(0)), token(make(1))) == WRONG_SIGNATURE


@pytest.mark.parametrize("make", [rsa_key, ec_key])
async def test_a_token_is_taken_by_its_key_in_the_jwks(make: Callable[[int], Key]) -> None:
    async with JwksServer(jwk(rsa_key(7), "other"), jwk(make(0), "mine")) as server:
        settings = ApiSettings(jwks_url=server.jwks_url)
        assert await caller_with(settings, token(make(0), "mine")) == ALICE
        assert await refusal_of(settings, token(make(1), "mine")) == WRONG_SIGNATURE


@pytest.mark.parametrize(
    ("settings", "text", "says"),
    [
        # Signatures
        (with_secret(), token(OTHER_SECRET), WRONG_SIGNATURE),
        (with_secret(), token()[:-6] + "AAAAAA", WRONG_SIGNATURE),
        (with_secret(), token().rpartition(".")[0] + ".", WRONG_SIGNATURE),
        (with_secret(), ".".join([part(HS), part(claims(sub="admin")), token().split(".")[2]]), WRONG_SIGNATURE),
        # Algorithms: none, and one key's for another's
        (with_secret(), f"{part({'alg': 'none'})}.{part(claims())}.", WRONG_ALGORITHM),
        (with_secret(), forged({"alg": "none"}, claims()), WRONG_ALGORITHM),
        (with_secret(), forged({"alg": "None"}, claims()), WRONG_ALGORITHM),
        (with_secret(), forged({"alg": "hs256"}, claims()), WRONG_ALGORITHM),
        (with_secret(), forged({"alg": "HS512"}, claims()), WRONG_ALGORITHM),
        (with_secret(), forged({"alg": ["HS256"]}, claims()), WRONG_ALGORITHM),
        (with_secret(), forged({"alg": {}}, claims()), WRONG_ALGORITHM),
        (with_secret(), forged({"alg": None}, claims()), WRONG_ALGORITHM),
        (with_secret(), forged({"typ": "JWT"}, claims()), WRONG_ALGORITHM),
        (with_secret(), token(rsa_key()), WRONG_ALGORITHM),
        (with_public_key(rsa_key()), f"{part({'alg': 'none'})}.{part(claims())}.", WRONG_ALGORITHM),
        (with_public_key(rsa_key()), forged(HS, claims(), pem(rsa_key().public_key()).encode()), WRONG_ALGORITHM),
        (with_public_key(ec_key()), forged(HS, claims(), pem(ec_key().public_key()).encode()), WRONG_ALGORITHM),
        (with_public_key(rsa_key()), forged({"alg": "RS256"}, claims(), pem(rsa_key().public_key()).encode()), WRONG_SIGNATURE),
        (with_public_key(rsa_key()), token(ec_key()), WRONG_ALGORITHM),
        (with_public_key(ec_key()), token(rsa_key()), WRONG_ALGORITHM),
        # Times
        (with_secret(), token(exp=int(time()) - 60), "the token has expired; get a new one"),
        (with_secret(), token(exp=0), "the token has expired; get a new one"),
        (with_secret(), token(exp=None), "the token has no exp"),
        (with_secret(), forged(HS, {**claims(), "exp": None}), "the token has no exp"),
        (with_secret(), forged(HS, {**claims(), "exp": "9999999999"}), "the token's exp must be a number, not a text"),
        (with_secret(), forged(HS, {**claims(), "exp": [9999999999]}), NO_JWT),
        (with_secret(), forged(HS, b'{"sub": "alice", "exp": 1e999}'), NO_JWT),
        (with_secret(), forged(HS, b'{"sub": "alice", "exp": NaN}'), NO_JWT),
        (with_secret(), forged(HS, b'{"sub": "alice", "exp": %s}' % (b"9" * 5000)), NO_JWT),
        (with_secret(), forged(HS, {**claims(), "nbf": True}), "the token's nbf must be a number, not true or false"),
        (with_secret(), token(nbf=int(time()) + DAY), "the token is not valid yet (nbf, iat)"),
        (with_secret(), token(iat=int(time()) + DAY), "the token is not valid yet (nbf, iat)"),
        (with_secret(), forged(HS, {**claims(), "nbf": "soon"}), NO_JWT),
        # sub
        (with_secret(), token(sub=None), "the token has no sub"),
        (with_secret(), forged(HS, {**claims(), "sub": None}), "the token has no sub"),
        (with_secret(), forged(HS, {**claims(), "sub": 42}), f"{NO_USER} a number"),
        (with_secret(), forged(HS, {**claims(), "sub": ["alice"]}), f"{NO_USER} a list"),
        (with_secret(), forged(HS, {**claims(), "sub": {"a": 1}}), f"{NO_USER} an object"),
        (with_secret(), token(sub=""), f"{NO_USER} ''"),
        (with_secret(), token(sub="_key:1"),
         "the token's sub must be the id of a user, which starts with neither @ nor _, not '_key:1'"),
        (with_secret(), token(sub="alice:acme"),
         "the token's sub must be the id of a user without spaces, / : and #, not 'alice:acme'"),
        (with_secret(), token(sub="a" * 201), "the token's sub must be the id of a user of at most 200 characters"),
        # Issuer and audience
        (with_secret(jwt_issuer="us"), token(), "the token has no iss"),
        (with_secret(jwt_issuer="us"), token(iss="them"), "the token is not of the issuer (iss) whose tokens are taken here"),
        (with_secret(jwt_issuer="us"), forged(HS, {**claims(), "iss": ["us"]}),
         "the token is not of the issuer (iss) whose tokens are taken here"),
        (with_secret(jwt_audience="us"), token(), "the token has no aud"),
        (with_secret(jwt_audience="us"), token(aud="them"), "the token is not meant for here (aud)"),
        (with_secret(jwt_audience="us"), token(aud=["them", "others"]), "the token is not meant for here (aud)"),
        (with_secret(jwt_audience="us"), forged(HS, {**claims(), "aud": {"us": 1}}), "the token is not meant for here (aud)"),
        # Other claims
        (with_secret(), token(customers="acme\n"), "the token's customers must be ids of 1 to 200 printable characters"),
        (with_secret(), token(customers=[""]), "the token's customers must be ids of 1 to 200 printable characters"),
        (with_secret(), token(customers=["c" * 201]), "the token's customers must be ids of 1 to 200 printable characters"),
        (with_secret(), token(customers=5), "the token's customers must be a list of texts, not a number"),
        (with_secret(), token(customers={"acme": True}), "the token's customers must be a list of texts, not an object"),
        (with_secret(), forged(HS, {**claims(), "customers": None}), "the token's customers must be a list of texts, not null"),
        (with_secret(), token(customers=["acme", 5]), "the token's customers must be a list of texts, and nothing else in it"),
        (with_secret(), token(roles=True), "the token's roles must be a list of texts, not true or false"),
        (with_secret(), token(roles=[["admin"]]), "the token's roles must be a list of texts, and nothing else in it"),
        # Size and shape
        (with_secret(), "x" * 1_000_000, f"the token is larger than {MAX_TOKEN_BYTES} bytes"),
        (with_secret(), token(more="x" * 1_000_000), f"the token is larger than {MAX_TOKEN_BYTES} bytes"),
        (with_secret(), "", NO_JWT),
        (with_secret(), "..", NO_JWT),
        (with_secret(), "a.b", NO_JWT),
        (with_secret(), "a.b.c.d.e", NO_JWT),
        (with_secret(), "größe.größe.größe", NO_JWT),
        (with_secret(), "\ud800.\ud800.\ud800", NO_JWT),
        (with_secret(), " " + token(), NO_JWT),
        (with_secret(), forged(b"\xff\xfe", claims()), NO_JWT),
        (with_secret(), forged([], claims()), NO_JWT),
        (with_secret(), forged(HS, []), NO_JWT),
        (with_secret(), forged(HS, b"\x00"), NO_JWT),
        (with_secret(), forged(HS, b"[" * 10_000), NO_JWT),
        (with_secret(), forged(b'{"a":' * 2_000, claims()), NO_JWT),
        (with_secret(), forged({**HS, "kid": 5}, claims()), NO_JWT),
        (with_secret(), forged({**HS, "crit": ["magic"], "magic": 1}, claims()), NO_JWT),
        (with_secret(), forged({**HS, "b64": False, "crit": ["b64"]}, claims()), NO_JWT),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value.strip() else "",
)  # fmt: skip
async def test_any_other_is_refused_in_one_sentence(settings: ApiSettings, text: str, says: str) -> None:
    assert await refusal_of(settings, text) == says


async def test_a_token_that_is_too_large_is_refused_before_anything_is_read_of_it() -> None:
    async with JwksServer(jwk(ec_key(), "a")) as server:
        says = await refusal_of(ApiSettings(jwks_url=server.jwks_url), token(ec_key(), "a", more="x" * MAX_TOKEN_BYTES))
        assert says == f"the token is larger than {MAX_TOKEN_BYTES} bytes"
        assert server.fetches == 0


@pytest.mark.parametrize(
    ("settings", "more"),
    [
        (with_secret(), {"exp": 9_999_999_999.5}),
        (with_secret(), {"nbf": 0}),
        (with_secret(), {"iat": None}),
        (with_secret(jwt_issuer="us"), {"iss": "us"}),
        (with_secret(jwt_audience="us"), {"aud": "us"}),
        (with_secret(jwt_audience="us"), {"aud": ["them", "us"]}),
        (with_secret(), {"iss": "any", "aud": "any"}),
        (with_secret(), {"data": {"anything": [1, None]}}),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
async def test_what_is_within_the_rules_is_taken(settings: ApiSettings, more: JsonObject) -> None:
    assert await caller_with(settings, token(**more)) == ALICE


async def test_the_leeway_is_as_set() -> None:
    late, early = token(exp=int(time()) - 10), token(nbf=int(time()) + 10)
    assert await caller_with(with_secret(), late) == await caller_with(with_secret(), early) == ALICE
    assert await refusal_of(with_secret(jwt_leeway_seconds=0), early) == "the token is not valid yet (nbf, iat)"
    assert await refusal_of(with_secret(jwt_leeway_seconds=0), late) == "the token has expired; get a new one"


@pytest.mark.parametrize(
    ("more", "caller"),
    [
        ({"customers": ["acme", "b", "acme"]}, Caller("alice", frozenset({"acme", "b"}), frozenset({Role.USER}))),
        ({"customers": "acme"}, Caller("alice", frozenset({"acme"}), frozenset({Role.USER}))),
        ({"customers": []}, Caller("alice", frozenset(), frozenset({Role.USER}))),
        ({"roles": ["admin"]}, Caller("alice", None, frozenset({Role.ADMIN}))),
        ({"roles": "service"}, Caller("alice", None, frozenset({Role.SERVICE}))),
        ({"roles": ["user", "admin", "service"]}, Caller("alice", None, frozenset(Role))),
        ({"roles": ["wizard", "admin", "ADMIN ", "x" * 300]}, Caller("alice", None, frozenset({Role.ADMIN}))),
        ({"roles": ["offline_access", "Admin"]}, ALICE),
        ({"roles": []}, ALICE),
        ({"sub": "größe|42@example.org"}, Caller("größe|42@example.org", None, frozenset({Role.USER}))),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else "",
)
async def test_the_claims_say_who_calls(more: JsonObject, caller: Caller) -> None:
    assert await caller_with(with_secret(), token(**more)) == caller


async def test_claims_have_the_names_that_are_set() -> None:
    settings = with_secret(customers_claim="https://example.org/orgs", roles_claim="groups")
    more: JsonObject = {"https://example.org/orgs": ["acme"], "groups": ["admin"], "roles": 5, "customers": 5}
    assert await caller_with(settings, token(**more)) == Caller("alice", frozenset({"acme"}), frozenset({Role.ADMIN}))


HEADERS = st.fixed_dictionaries({"alg": st.just("HS256") | JSON}, optional={"kid": JSON, "crit": JSON, "b64": JSON})
CLAIMS = st.fixed_dictionaries(
    {"sub": st.just("alice") | JSON, "exp": st.just(9_999_999_999) | JSON, "aud": st.just("us") | JSON},
    optional=dict.fromkeys(("nbf", "iat", "iss", "jti", "customers", "roles"), JSON),
)


@given(header=HEADERS | JSON, payload=CLAIMS | JSON)
async def test_whatever_is_signed_is_taken_or_refused_and_never_crashes(header: JsonValue, payload: JsonValue) -> None:
    settings = with_secret(jwt_audience="us")
    key = fixed_key(settings)
    assert key is not None
    text = forged(json.dumps(header).encode("utf-8", "surrogatepass"), json.dumps(payload).encode())
    try:
        caller = await TokenVerifier(settings, OneKey(key)).verify(text)
    except BadToken as error:
        assert str(error)  # noqa: PT017 - either is right
    else:
        assert isinstance(payload, dict)
        assert caller.user == payload["sub"]


@given(text=st.text(max_size=300) | st.text(alphabet="abcAB01-_=.", max_size=300))
async def test_no_text_whatever_is_taken(text: str) -> None:
    assert await refusal_of(with_secret(), text)
