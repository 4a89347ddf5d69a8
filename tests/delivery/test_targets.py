"""The target of a delivery that was read back: from the mapping where it is, else from what the document shows."""

from router.channels.base import Target
from router.delivery.targets import TargetIndex
from router.documents.delivery import Delivery, delivery_id
from router.documents.json_types import JsonValue
from router.routing.mapping import Reader
from tests.delivery.making import delivery
from tests.routing.making import READERS, mapping_of


def delivery_to(channel: str | None, address: str, shown: str | None) -> Delivery:
    return delivery(id=delivery_id("m:1", channel or "", address), channel=channel, target=shown)


def test_the_mapping_knows_its_secrets_and_options() -> None:
    index = TargetIndex(mapping_of({"#a": {"room": "z!"}}), READERS)
    assert index.find(delivery_to("room", "z!", "z…")) == Target("room", "z!", "z…")


def test_a_target_that_left_the_mapping_is_read_from_its_document() -> None:
    index = TargetIndex(mapping_of({}), READERS)
    assert index.find(delivery_to("mail", "x", "x")) == Target("mail", "x", "x")
    assert TargetIndex(None, READERS).find(delivery_to("mail", "x", "x")) == Target("mail", "x", "x")


def test_a_secret_that_left_the_mapping_is_gone() -> None:
    index = TargetIndex(mapping_of({}), READERS)
    # What is shown cannot be read as a target, or it is read as another one: neither may get the message.
    assert index.find(delivery_to("room", "Z!", "Z…")) is None
    assert index.find(delivery_to("room", "z!", "z…")) is None


def test_the_same_address_on_another_channel_is_another_target() -> None:
    index = TargetIndex(mapping_of({"#a": {"mail": "x"}}), READERS)
    assert index.find(delivery_to("room", "x", None)) is None


def test_a_channel_nobody_knows_is_found_in_the_mapping_only() -> None:
    mapping = mapping_of({"#a": {"pigeon": "x"}})
    assert TargetIndex(mapping, READERS).find(delivery_to("pigeon", "x", "x")) == Target("pigeon", "x", "x")
    assert TargetIndex(None, READERS).find(delivery_to("pigeon", "x", "x")) is None


def test_a_document_without_a_channel_or_a_target_has_none() -> None:
    index = TargetIndex(mapping_of({"#a": {"mail": "x"}}), READERS)
    assert index.find(delivery_to(None, "x", "x")) is None
    assert index.find(delivery_to("mail", "y", None)) is None


def test_a_target_with_several_addresses_is_found_by_who_it_is() -> None:
    def parse(value: JsonValue) -> Target:
        return Target("mail", str(value), str(value), alias_of=str(value).partition("+")[0])

    readers = {"mail": Reader(parse)}
    read_back = delivery(id=delivery_id("m1", "mail", "ann"), channel="mail", target="ann+old")
    found = TargetIndex(None, readers).find(read_back)
    assert found is not None
    assert (found.address, found.identity) == ("ann+old", "ann")
