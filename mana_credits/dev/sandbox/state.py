"""The sandbox's files in `.sandbox/`: database, keys, environment and log."""

import fcntl
import secrets
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mana_credits.dev.sandbox import identity
from mana_credits.dev.sandbox.processes import ProcessRecord


class SandboxState:
    """The folder of one sandbox. The first run creates secrets that only the owner can read."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.database = folder / "postgres"
        self.log = folder / "service.log"
        self.environment_file = folder / "env"
        self.processes = ProcessRecord(folder / "processes.json")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder against other sandboxes. Raises BlockingIOError if one uses it."""
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield

    @property
    def identity_key(self) -> Ed25519PrivateKey:
        """Return the private key that signs the sandbox's tokens."""
        return identity.read_key(self._kept("identity.pem", identity.new_key()))

    @property
    def service_key(self) -> str:
        """Return the service key."""
        return self._kept("service-key", secrets.token_urlsafe(24))

    @property
    def statement_key(self) -> str:
        """Return the secret that signs users' statements."""
        return self._kept("statement-key", secrets.token_urlsafe(32))

    @property
    def webhook_secret(self) -> str:
        """Return the secret that signs the events of the sandbox's Stripe."""
        return self._kept("webhook-secret", f"whsec_{secrets.token_urlsafe(24)}")

    @property
    def secret_key(self) -> str:
        """Return Django's secret key."""
        return self._kept("secret-key", secrets.token_urlsafe(50))

    def write_environment(self, environment: dict[str, str]) -> None:
        """Write the environment that `manage.py` needs, for a shell to source."""
        lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
        self._write(self.environment_file, "\n".join(lines) + "\n")

    def _kept(self, name: str, fresh: str) -> str:
        path = self.folder / name
        if not path.exists() or path.stat().st_size == 0:  # as a full disk leaves it
            self._write(path, fresh)
        return path.read_text(encoding="utf-8")

    @staticmethod
    def _write(path: Path, text: str) -> None:
        # With its mode before its content, so that nobody else can read it in between.
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
