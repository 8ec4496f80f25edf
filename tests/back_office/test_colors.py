"""The stylesheet has unfold's colours, which unfold itself would write into each page."""

import re
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.test import Client, RequestFactory

COLORS = Path(settings.BASE_DIR) / "static" / "back-office-colors.css"
UNFOLD = Path(settings.BASE_DIR) / "static" / "back-office.css"


def declared() -> dict[str, str]:
    return dict(re.findall(r"--color-([a-z0-9-]+): ([^;]+);", COLORS.read_text()))


def test_the_colors_are_unfolds_except_the_primary_one() -> None:
    site: Any = admin.site
    colors = site._get_colors("COLORS", RequestFactory().get("/admin/"))
    expected = {
        f"{name}-{weight}": value
        for name, weights in colors.items()
        for weight, value in weights.items()
    }

    found = declared()

    assert found.keys() == expected.keys()
    differing = {name for name, value in expected.items() if found[name] != value}
    assert {name.partition("-")[0] for name in differing} == {"primary"}


def test_every_color_of_our_pages_is_declared() -> None:
    used = set(re.findall(r"var\(--color-([a-z0-9-]+)\)", UNFOLD.read_text()))

    assert used <= declared().keys()


def test_pages_have_no_inline_style(ada: Client) -> None:
    for path in ("", "credits/transaction/", "credits/operation/", "search-accounts/"):
        page = ada.get(f"/admin/{path}")
        assert "style-src 'self';" in page.headers["Content-Security-Policy"]
        assert "<style" not in page.content.decode(), path
        assert " style=" not in page.content.decode(), path
