"""`python -m bench.production …`: gunicorn, with what the image does not hold out of its reach.

Libraries load what they find: Stripe's another HTTP client, structlog a printer in colours. In the
image they find less than on a developer's machine, and a worker is smaller.
"""

import re
import runpy
import sys
from importlib.metadata import packages_distributions
from pathlib import Path


def hide_development() -> None:
    """Let imports of packages fail that only the development lock file names."""
    shipped = _packages("requirements-runtime.lock")
    extra = _packages("requirements.lock") - shipped
    for module, packages in packages_distributions().items():
        if {_canonical(package) for package in packages} <= extra:
            sys.modules[module] = None  # type: ignore[assignment]  # how Python marks it


def _packages(lock: str) -> set[str]:
    lines = Path(lock).read_text().splitlines()
    return {_canonical(line.partition("==")[0]) for line in lines if re.match(r"\w.*==", line)}


def _canonical(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


if __name__ == "__main__":
    hide_development()
    runpy.run_module("gunicorn", run_name="__main__", alter_sys=True)
