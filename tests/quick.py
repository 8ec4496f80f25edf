"""`--quick`, for `make test`: leaves out the tests marked `slow`, and draws fewer random examples.

`make check` runs without it.
"""

from pathlib import Path

import pytest
from hypothesis import settings

# Modules whose tests are all `slow`, and whose cases take half of the collection's time.
GENERATED = {"test_schema_properties.py"}
RANDOM_EXAMPLES = 10

settings.register_profile("quick", max_examples=RANDOM_EXAMPLES)


def at_most(examples: int) -> int:
    """Return how many random examples a test draws: fewer with `--quick`."""
    return min(examples, settings().max_examples)


def pytest_configure(config: pytest.Config) -> None:
    """Choose how many examples are drawn, before the tests are imported."""
    if config.getoption("quick"):
        settings.load_profile("quick")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--quick", action="store_true", help="leave out the tests marked `slow`")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip the modules with generated cases."""
    return True if config.getoption("quick") and collection_path.name in GENERATED else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests marked `slow`."""
    if config.getoption("quick"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]
