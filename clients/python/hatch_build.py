"""Generate `mana_credits_client.wire` from OpenAPI, and `client.py` from `async_client.py`."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from unasync import Rule, unasync_files

# The differences of the client for threads, besides `async` and `await`.
IN_THREADS = {
    "AsyncCredits": "Credits",
    "AsyncHold": "Hold",
    "AsyncResponse": "SyncResponse",
    "aclose": "close",
    "aread": "read",
    "asyncio": "time",
    "asyncio_detailed": "sync_detailed",
    "get_async_httpx_client": "get_httpx_client",
}
GENERATOR = "import sys; from openapi_python_client.cli import app; sys.exit(app())"


class CustomBuildHook(BuildHookInterface[Any]):
    """Runs unasync and openapi-python-client before a wheel is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generate the package. Raises CalledProcessError if the generator fails."""
        root = Path(self.root)
        package = root / "mana_credits_client"
        rule = Rule("async_client.py", "client.py", additional_replacements=IN_THREADS)
        unasync_files([str(package / "async_client.py")], [rule])
        copy = root / "openapi.yaml"  # path in a source distribution
        source = copy if copy.exists() else root.parents[1] / "docs" / "openapi.yaml"
        target = package / "wire"
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
