"""`python -m bench.production …`: run gunicorn without the development packages.

Some libraries import optional packages if they are installed: Stripe another HTTP client, structlog
a coloured printer. In the image they are missing, and a worker uses less memory there.
"""

import re
import runpy
import sys
from importlib.metadata import packages_distributions
from pathlib import Path


def hide_development() -> None:
    """Make imports fail for packages that only the development lock file contains."""
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
