"""An outage of a host: what waits for it ends by its age alone, and goes out when the host works again."""

from collections import Counter

from router.channels.base import Outcome, Outgoing, Retry, Sent, Uncertain
from router.channels.email import KIND as EMAIL
from router.demo.smtp import MailServer
from router.settings import BreakerSettings, ChannelSettings, CouchDBSettings, RetrySettings
from tests.peers.postbox import Postbox, say
from tests.service.running import Desk, error_code, outcomes, running, settings_for

FEW_RETRIES = RetrySettings(base_seconds=0.02, max_delay_seconds=0.05, max_retries=3, max_age_seconds=60)
QUICK_BREAKER = BreakerSettings(failures=2, base_seconds=0.02, max_seconds=0.04)
DEADLINE_SECONDS = 20.0
KINDS = {"email": EMAIL}


def mail_settings(server: MailServer, retry: RetrySettings) -> ChannelSettings:
    """Settings of the mail channel for `server`, whether it is up or not."""
    return EMAIL.settings_type.model_validate(
        {
            "host": server.host,
            "port": server.port,
            "security": "none",
            "sender": "router@example.org",
            "retry": retry,
            "breaker": QUICK_BREAKER,
        }
    )


async def stopped_mail_server() -> MailServer:
    """A mail server that is down, and has a port that it comes back to."""
    server = MailServer()
    await server.start()
    await server.stop()
    return server


async def test_an_outage_longer_than_all_retries_together_costs_nothing_but_time(
    couchdb_settings: CouchDBSettings, desk: Desk
) -> None:
    server = await stopped_mail_server()
    channel = mail_settings(server, FEW_RETRIES)
    await desk.map({"#a": {"email": "a@example.org"}, "#b": {"email": "b@example.org"}})
    async with running(settings_for(couchdb_settings, KINDS, channel), KINDS):
        await desk.write("m1", "#a")
        await desk.write("m2", "#b")
        found = await desk.until(
            lambda found: (
                len(found) == 2
                and all(len(outcomes(d)) >= FEW_RETRIES.max_retries + 3 or d["status"] != "PENDING" for d in found)
            ),
            timeout_seconds=DEADLINE_SECONDS,
        )
        assert [d["status"] for d in found] == ["PENDING", "PENDING"], [d["error"] for d in found]
        # Those are counted that found out that the host is down, and each attempt is told of.
        assert sum(int(str(d["retries"])) for d in found) <= QUICK_BREAKER.failures
        assert {outcome for d in found for outcome in outcomes(d)} == {"retry"}
        await server.start()
        try:
            await desk.all_have("COMPLETE", 2, timeout_seconds=DEADLINE_SECONDS)
        finally:
            await server.stop()
    assert Counter(mail.recipient for mail in server.mails()) == {"a@example.org": 1, "b@example.org": 1}


async def test_an_outage_longer_than_its_age_ends_a_delivery(couchdb_settings: CouchDBSettings, desk: Desk) -> None:
    server = await stopped_mail_server()
    channel = mail_settings(server, FEW_RETRIES.model_copy(update={"max_age_seconds": 1.0}))
    await desk.map({"#a": {"email": "a@example.org"}})
    async with running(settings_for(couchdb_settings, KINDS, channel), KINDS):
        await desk.write("m1", "#a")
        [delivery] = await desk.all_have("FAILED", 1, timeout_seconds=DEADLINE_SECONDS)
    assert error_code(delivery) == "too_old"


async def test_what_may_have_been_sent_to_a_host_that_is_down_still_costs_a_retry(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    postbox.always = say(Uncertain("no answer"))
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#a": {"postbox": "one"}})
    channel = ChannelSettings(retry=FEW_RETRIES, breaker=QUICK_BREAKER)
    async with running(settings_for(couchdb_settings, kinds, channel), kinds):
        await desk.write("m1", "#a")
        [delivery] = await desk.all_have("UNCERTAIN", 1, timeout_seconds=DEADLINE_SECONDS)
    assert error_code(delivery) == "retries_exhausted"
    assert len(postbox.arrived) == 1 + FEW_RETRIES.max_retries


async def test_a_message_that_brings_its_host_down_each_time_does_not_keep_the_others_from_trying(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    async def answer(outgoing: Outgoing) -> Outcome:
        is_poison = outgoing.target.address == "poison"
        return Retry("internal error", code=500, host_is_down=True) if is_poison else Sent(None)

    postbox.always = answer
    kinds = {"postbox": postbox.kind()}
    await desk.map({"#poison": {"postbox": "poison"}, "#a": {"postbox": [f"t{n}" for n in range(10)]}})
    retry = FEW_RETRIES.model_copy(update={"max_delay_seconds": 1.0})
    channel = ChannelSettings(retry=retry, breaker=QUICK_BREAKER, concurrency=1)
    async with running(settings_for(couchdb_settings, kinds, channel), kinds):
        await desk.write("m1", "#poison")
        await postbox.wait_for(FEW_RETRIES.max_retries + 3, timeout_seconds=DEADLINE_SECONDS)
        await desk.write("m2", "#a")
        await desk.until(
            lambda found: sum(d["status"] == "COMPLETE" for d in found) == 10, "m2", timeout_seconds=DEADLINE_SECONDS
        )
