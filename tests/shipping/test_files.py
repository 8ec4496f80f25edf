"""The files in `ops/`, checked by the programs that read them."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.loopback import free_port
from tests.shipping import front, servers

pytestmark = pytest.mark.shipping


def test_nginx_accepts_its_file_and_hides_internal_routes(tmp_path: Path) -> None:
    nobody = free_port(), free_port()

    with front.nginx(tmp_path, nobody) as outside:
        answers = {path: outside.ask("GET", path)[0] for path in ("/metrics", "/ready", "/health")}

    assert answers == {"/metrics": 404, "/ready": 404, "/health": 502}


def promtool(*arguments: str, folder: str) -> str:
    """Run promtool. Return its output."""
    checked = subprocess.run(
        [servers.executable("promtool"), *arguments],
        cwd=servers.ROOT / folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    return checked.stdout


def test_prometheus_takes_its_files() -> None:
    alerts = (servers.ROOT / "ops/prometheus/alerts.yml").read_text().count("- alert:")

    said = promtool("check", "config", "scrape.yml", folder="ops/prometheus")

    assert alerts > 0
    assert f"{alerts} rules found" in said


def test_alerts_fire_when_they_should_and_only_then() -> None:
    promtool("test", "rules", "alerts.yml", folder="tests/shipping")


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    panels = json.loads((servers.ROOT / "ops/grafana/mana-credits.json").read_text())["panels"]

    places = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len(set(places)) == len(places)
    assert max(x for x, _ in places) < 24
