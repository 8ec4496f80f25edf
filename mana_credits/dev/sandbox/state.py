"""What the sandbox keeps between runs, in `.sandbox/`: a database, keys, the environment."""

import fcntl
import secrets
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mana_credits.dev.sandbox import identity
from mana_credits.dev.sandbox.processes import Record


class State:
    """The folder of one sandbox. Secrets are made on the first run and readable by its owner."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.database = folder / "postgres"
        self.log = folder / "service.log"
        self.environment_file = folder / "env"
        self.processes = Record(folder / "processes.json")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other sandboxes out of the folder. Raises BlockingIOError if one is in it."""
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield

    @property
    def identity_key(self) -> Ed25519PrivateKey:
        """The key that the sandbox's tokens are signed with."""
        return identity.read_key(self._kept("identity.pem", identity.new_key()))

    @property
    def service_key(self) -> str:
        """The key that other services would show."""
        return self._kept("service-key", secrets.token_urlsafe(24))

    @property
    def webhook_secret(self) -> str:
        """What the sandbox's Stripe signs its events with."""
        return self._kept("webhook-secret", f"whsec_{secrets.token_urlsafe(24)}")

    @property
    def secret_key(self) -> str:
        """Django's secret."""
        return self._kept("secret-key", secrets.token_urlsafe(50))

    def write_environment(self, environment: dict[str, str]) -> None:
        """Leave what `manage.py` needs, to be sourced by a shell."""
        lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
        self._write(self.environment_file, "\n".join(lines) + "\n")

    def _kept(self, name: str, fresh: str) -> str:
        path = self.folder / name
        if not path.exists():
            self._write(path, fresh)
        return path.read_text()

    @staticmethod
    def _write(path: Path, text: str) -> None:
        path.touch(mode=0o600)
        path.write_text(text)
