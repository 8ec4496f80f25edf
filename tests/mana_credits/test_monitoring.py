"""Alerts and dashboard use existing metrics with existing labels."""

import json
import re
from collections.abc import Iterator
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.registry import REGISTRY

from mana_credits.metrics import STATE

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "ops/prometheus/alerts.yml"
DASHBOARD = ROOT / "ops/grafana/mana-credits.json"
SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum"),
}
OF_PROMETHEUS = {"le", "instance", "job"}

for module in ("mana_credits.urls", "mana_credits.pool_metrics"):
    import_module(module)  # whatever counts

pytestmark = pytest.mark.django_db


def metrics() -> dict[str, set[str]]:
    """Return the labels of every metric of the service by its name, as Prometheus stores it."""
    known = {}
    for collector in chain(REGISTRY._collector_to_names, [STATE]):
        for family in collector.collect():
            if family.name.startswith("mana_credits_"):
                source: Any = family if hasattr(family, "_labelnames") else collector
                for suffix in SUFFIXES[family.type]:
                    known[family.name + suffix] = set(source._labelnames)
    return known


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def test_every_expression_asks_for_a_metric_that_there_is() -> None:
    known = metrics()

    asked = {name for text in expressions() for name in re.findall(r"mana_credits_\w+", text)}

    assert asked - set(known) == set()
    assert len(asked) >= 15


def test_every_label_is_one_of_its_metric() -> None:
    known = metrics()

    for text in expressions():
        names = re.findall(r"mana_credits_\w+", text)
        labels = OF_PROMETHEUS.union(*(known[name] for name in names))
        grouped = re.findall(r"\b(?:by|on) \(([\w, ]+)\)", text)
        selected = re.findall(r"(\w+)(?:=~|!=|=)\"", text)
        used = {label.strip() for part in grouped for label in part.split(",")} | set(selected)
        assert used <= labels, text


def test_the_dashboard_and_the_alerts_show_every_metric_of_state() -> None:
    """Every metric must be used: an unused metric has no purpose."""
    asked = {name for text in expressions() for name in re.findall(r"mana_credits_\w+", text)}

    families = {re.sub(r"_(bucket|count|sum|total)$", "", name) for name in asked}

    assert {re.sub(r"_(bucket|count|sum|total)$", "", name) for name in metrics()} == families


def test_every_alert_has_its_section_in_the_operations_guide() -> None:
    guide = (ROOT / "docs/operations.md").read_text()

    sections = set(re.findall(r"^### (\w+)$", guide, re.MULTILINE))

    assert {rule["alert"] for rule in rules()} <= sections
    assert all(rule["labels"]["severity"] in {"page", "ticket"} for rule in rules())
