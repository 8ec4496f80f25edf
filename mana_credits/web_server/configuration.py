"""gunicorn's configuration, for the requests of a worker."""

from typing import Any


class Configuration:
    """Looks up each of gunicorn's settings once, instead of 17 times for each request.

    Settings do not change while a worker runs: a reload starts new workers.
    """

    def __init__(self, cfg: Any) -> None:
        self._cfg = cfg

    def __getattr__(self, name: str) -> Any:
        """Return a setting. Python calls this only until the instance has the attribute."""
        value = getattr(self._cfg, name)
        setattr(self, name, value)
        return value
