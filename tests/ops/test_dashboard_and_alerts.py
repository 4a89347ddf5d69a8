"""The dashboard and the alert rules in ops/ ask only for what a running router really exports, and each alert is explained."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from router.channels.base import Retry
from router.documents.json_types import JsonObject, JsonValue
from router.settings import BreakerSettings, ChannelSettings, CouchDBSettings, HttpSettings
from tests.peers.postbox import Postbox, say
from tests.service.running import QUICK_RETRY, Desk, running, settings_for
from tests.web.asking import metrics_once

ROOT = Path(__file__).parents[2]
DASHBOARD: JsonObject = json.loads((ROOT / "ops" / "grafana-dashboard.json").read_text("utf-8"))
ALERTS: JsonObject = yaml.safe_load((ROOT / "ops" / "prometheus-alerts.yml").read_text("utf-8"))
MANUAL = (ROOT / "docs" / "operations.md").read_text("utf-8")

PROMETHEUS_OWN = {"up": {"job", "instance"}}
"""Metrics that Prometheus makes itself."""
TARGET_LABELS = {"job", "instance"}
"""Labels that Prometheus adds to everything it scrapes."""

Exported = Mapping[str, Mapping[str, set[str]]]
"""Metric to label to the values it has."""


@pytest.fixture
async def exported(
    at_once: None, couchdb_settings: CouchDBSettings, postbox: Postbox, desk: Desk, unused_tcp_port: int
) -> Exported:
    """What the port of a router shows that has been through something."""
    kinds = {"postbox": postbox.kind()}
    channel = ChannelSettings(retry=QUICK_RETRY, breaker=BreakerSettings(failures=1, base_seconds=0.05))
    settings = settings_for(couchdb_settings, kinds, channel, http=HttpSettings(port=unused_tcp_port))
    postbox.answers["alice"] = [say(Retry("no connection", host_is_down=True))]
    await desk.map({"#a": {"postbox": "alice"}})
    async with running(settings, kinds):
        await desk.write("m1", "#a")
        await metrics_once(
            unused_tcp_port, 'notification_router_deliveries_total{channel="postbox",status="COMPLETE"} 1.0'
        )
        await metrics_once(unused_tcp_port, "notification_router_unroutable_waiting 0.0")
        text = await metrics_once(unused_tcp_port, "notification_router_feed_lag_documents 0.0")
    found: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        assert family.samples, f"{family.name} has no sample, so nobody knows its labels"
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    return found


# --- a reader of PromQL that knows just enough

WORDS = {"by", "without", "on", "and", "or", "unless", "bool", "offset", "ignoring", "group_left", "group_right"}
FUNCTIONS = {
    "sum",
    "max",
    "min",
    "rate",
    "increase",
    "deriv",
    "changes",
    "absent",
    "histogram_quantile",
    "time",
    "vector",
}
SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")


def selectors(expression: str) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Each metric of an expression, with its matchers: label, operator, value."""
    bare = re.sub(r"\[[^\]]*\]", " ", GROUPING.sub(" ", expression))
    for name, braces in SELECTOR.findall(bare):
        if name not in WORDS | FUNCTIONS:
            yield name, MATCHER.findall(braces)


def grouping_labels(expression: str) -> set[str]:
    """The labels that an expression groups by."""
    return {label.strip() for found in GROUPING.findall(expression) for label in found.split(",") if label.strip()}


def problems(expression: str, exported: Exported) -> list[str]:
    """What an expression asks for that is not there."""
    wrong = []
    if expression.count("(") != expression.count(")") or expression.count("{") != expression.count("}"):
        wrong.append("brackets do not match")
    known_labels = set(TARGET_LABELS)
    found = list(selectors(expression))
    if not found:
        wrong.append("asks for nothing")
    for name, matchers in found:
        if name in PROMETHEUS_OWN:
            known_labels |= PROMETHEUS_OWN[name]
            continue
        if name not in exported:
            wrong.append(f"no metric {name}")
            continue
        known_labels |= set(exported[name])
        for label, operator, value in matchers:
            if label in TARGET_LABELS:
                continue
            values = exported[name].get(label)
            if values is None:
                wrong.append(f"{name} has no label {label}")
            elif "$" not in value and not _matches(operator, value, values):
                wrong.append(f"{name} has no {label} {operator} {value!r} but {sorted(values)}")
    wrong += [f"groups by {label}" for label in grouping_labels(expression) - known_labels]
    return wrong


def _matches(operator: str, value: str, values: set[str]) -> bool:
    if operator in ("=", "!="):
        return value in values
    return all(option in values for option in value.split("|"))


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ('notification_router_role{role="active"}', []),
        ('sum by (job) (rate(notification_router_attempts_total{outcome="sent"}[10m])) > 0.05', []),
        ("histogram_quantile(0.99, sum by (le) (rate(notification_router_attempt_duration_seconds_bucket[5m])))", []),
        ("up == 0", []),
        ("notification_router_rolle", ["no metric notification_router_rolle"]),
        ('notification_router_role{rolle="active"}', ["notification_router_role has no label rolle"]),
        ("sum by (chanel) (notification_router_lane_depth)", ["groups by chanel"]),
        ("sum(notification_router_lane_depth", ["brackets do not match"]),
        ("1 > 0", ["asks for nothing"]),
    ],
)
async def test_the_check_finds_what_is_wrong(expression: str, wrong: list[str], shown: Exported) -> None:
    assert problems(expression, shown) == wrong


@pytest.fixture
def shown() -> Exported:
    """A little of what a router exports, for the check of the check."""
    return {
        "notification_router_role": {"role": {"active", "standby"}},
        "notification_router_attempts_total": {"channel": {"email"}, "outcome": {"sent"}},
        "notification_router_attempt_duration_seconds_bucket": {"channel": {"email"}, "le": {"0.5"}},
        "notification_router_lane_depth": {"channel": {"email"}},
    }


def test_a_value_that_no_label_has_is_found(shown: Exported) -> None:
    assert problems('notification_router_role{role="aktive"}', shown) == [
        "notification_router_role has no role = 'aktive' but ['active', 'standby']"
    ]
    assert problems('notification_router_role{role=~"active|aktive"}', shown)
    assert problems('notification_router_role{role=~"$role"}', shown) == []


# --- against a running router


@cache
def rules() -> list[JsonObject]:
    groups = ALERTS["groups"]
    assert isinstance(groups, list)
    found: list[JsonObject] = []
    for group in groups:
        assert isinstance(group, dict)
        assert isinstance(group["rules"], list)
        found += [rule for rule in group["rules"] if isinstance(rule, dict)]
    return found


@cache
def panels() -> list[JsonObject]:
    found = DASHBOARD["panels"]
    assert isinstance(found, list)
    return [panel for panel in found if isinstance(panel, dict)]


def queries() -> Iterator[tuple[str, str]]:
    """Title of a panel and expression, and the queries of the variables."""
    for panel in panels():
        targets = panel.get("targets", [])
        assert isinstance(targets, list)
        for target in targets:
            assert isinstance(target, dict)
            yield str(panel["title"]), str(target["expr"])


def variables() -> dict[str, JsonObject]:
    templating = DASHBOARD["templating"]
    assert isinstance(templating, dict)
    listed = templating["list"]
    assert isinstance(listed, list)
    return {str(variable["name"]): variable for variable in listed if isinstance(variable, dict)}


async def test_what_is_asked_for_is_what_a_router_exports(exported: Exported) -> None:
    wrong = [(str(rule["alert"]), each) for rule in rules() for each in problems(str(rule["expr"]), exported)]
    asked = list(queries())
    wrong += [(title, each) for title, expression in asked for each in problems(expression, exported)]
    for name, variable in variables().items():
        if variable["type"] == "query":
            query = re.fullmatch(r"label_values\((.*), (\w+)\)", str(variable["definition"]))
            assert query
            wrong += [(name, each) for each in problems(query[1], exported)]
            (metric, _), *_ = selectors(query[1])
            assert query[2] in {*exported[metric], *TARGET_LABELS}
    assert not wrong
    on_the_dashboard = {
        re.sub(r"_(bucket|sum|count)$", "", name) for _, expression in asked for name, _ in selectors(expression)
    }
    all_there_is = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exported}
    assert all_there_is == on_the_dashboard, "each metric has a panel"
    in_the_manual = set(re.findall(r"`(\w+)`", MANUAL.partition("## Alerts")[0]))
    assert {
        name.removeprefix("notification_router_") for name in all_there_is if "process" not in name
    } <= in_the_manual


# --- shape


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_each_alert_says_what_it_is_and_has_its_place_in_the_manual(rule: JsonObject) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"NotificationRouter[A-Z]\w+", str(rule["alert"]))
    assert re.fullmatch(r"\d+[smh]", str(rule.get("for", "1m")))
    assert rule["labels"] in ({"severity": "critical"}, {"severity": "warning"})
    annotations = rule["annotations"]
    assert isinstance(annotations, dict)
    assert set(annotations) == {"summary", "description", "runbook"}
    for sentence in (annotations["summary"], annotations["description"]):
        assert str(sentence).endswith(".")
    file, _, anchor = str(annotations["runbook"]).partition("#")
    assert (ROOT / file).is_file()
    assert anchor == str(rule["alert"]).lower()
    assert anchor in anchors()


def test_the_manual_explains_no_alert_that_is_not_there() -> None:
    explained = re.findall(r"^### (NotificationRouter\w+)$", MANUAL, flags=re.MULTILINE)
    assert explained == list(dict.fromkeys(explained))
    assert set(explained) == {str(rule["alert"]) for rule in rules()}


def anchors() -> set[str]:
    """The anchors that GitHub makes of the manual's headings."""
    headings = re.findall(r"^#+ (.+)$", MANUAL, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_in_the_manual_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", MANUAL):
        file, _, anchor = target.partition("#")
        if file:
            assert (ROOT / "docs" / file).exists() or file.startswith("../benchmarks/"), target
        if anchor and not file:
            assert anchor in anchors(), target
    assert MANUAL.count("<!-- sizing -->") == MANUAL.count("<!-- /sizing -->") == 1


def test_the_dashboard_can_be_imported() -> None:
    assert {"title", "uid", "panels", "templating", "schemaVersion", "time"} <= set(DASHBOARD)
    assert "id" not in DASHBOARD, "an id is of one Grafana alone"
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(map(str, ids)))
    assert set(variables()) == {"datasource", "job", "instance", "channel"}
    assert variables()["datasource"]["type"] == "datasource"
    places: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        assert isinstance(place, dict)
        x, y, w, h = (int(str(place[key])) for key in "xywh")
        assert x + w <= 24
        taken = {(column, line) for column in range(x, x + w) for line in range(y, y + h)}
        assert not places & taken, panel["title"]
        places |= taken
        if panel["type"] == "row":
            continue
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert str(panel["description"]).endswith(".")
        assert _unit(panel)
        targets = panel["targets"]
        assert isinstance(targets, list)
        assert targets
        refs = [str(target["refId"]) for target in targets if isinstance(target, dict)]
        assert len(refs) == len(set(refs)) == len(targets)


def _unit(panel: Mapping[str, JsonValue]) -> JsonValue:
    config = panel["fieldConfig"]
    assert isinstance(config, dict)
    defaults = config["defaults"]
    assert isinstance(defaults, dict)
    return defaults.get("unit")
