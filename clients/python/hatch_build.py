"""Generate `mana_credits_client.wire`, the classes and calls of the API, from the OpenAPI file."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

GENERATOR = "import sys; from openapi_python_client.cli import app; sys.exit(app())"


class CustomBuildHook(BuildHookInterface[Any]):
    """Runs openapi-python-client before a wheel is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generate the package. Raises CalledProcessError if the generator fails."""
        root = Path(self.root)
        copy = root / "openapi.yaml"  # path in a source distribution
        source = copy if copy.exists() else root.parents[1] / "docs" / "openapi.yaml"
        target = root / "mana_credits_client" / "wire"
        shutil.rmtree(target, ignore_errors=True)
        options = {
            "path": source,
            "config": root / "generator.yaml",
            "meta": "none",
            "output-path": target,
        }
        arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        command = [sys.executable, "-c", GENERATOR, "generate", "--fail-on-warning", *arguments]
        subprocess.run(command, check=True)
