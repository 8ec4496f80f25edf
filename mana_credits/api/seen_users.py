"""The users of decoded tokens, buffered until they are written as contacts.

A request only puts its user into a dictionary. A thread writes what is new every few seconds, so no
request waits for it or fails because of it. A process that ends loses at most those seconds; the
user's next token restores the contact.
"""

import time
from datetime import UTC, datetime, timedelta
from threading import Lock, Thread

import structlog
from django.db import Error, OperationalError, connection

from credits import contacts
from credits.principals import User

SECONDS = 2
RECORDED_AGAIN = timedelta(days=1)
LARGEST_COUNT = 20_000  # users per process; some MB

logger = structlog.get_logger(__name__)


class SeenUsers:
    """Collects the users of tokens, and writes each when their token says something new.

    An unchanged user is written once a day, which also restores a contact that was deleted.
    """

    def __init__(self) -> None:
        self._new: dict[str, tuple[User, datetime]] = {}
        self._known: dict[str, tuple[User, datetime]] = {}
        self._lock = Lock()

    def note(self, user: User) -> None:
        """Remember that a token of this user was decoded. Costs no I/O and never raises."""
        if not (user.email or user.name):
            return
        now = datetime.now(UTC)
        known = self._known.get(user.id)
        if known and known[0] == user and now - known[1] < RECORDED_AGAIN:
            return
        with self._lock:
            for users in (self._known, self._new):
                if len(users) >= LARGEST_COUNT:
                    del users[next(iter(users))]
                users[user.id] = (user, now)

    def write(self) -> None:
        """Write the users noted since the last call. Raises the database's errors.

        If the database is away, the users stay for the next call.
        """
        with self._lock:
            new, self._new = self._new, {}
        try:
            if new:
                contacts.record(dict(new.values()))
        except OperationalError:
            with self._lock:
                # A user noted in the meantime has the newer token.
                self._new = {**new, **self._new}
            raise

    def write_when_new(self) -> None:
        """Start a thread that writes every SECONDS until the process ends."""
        Thread(target=self._write_again_and_again, name="contacts", daemon=True).start()

    def _write_again_and_again(self) -> None:
        while True:
            time.sleep(SECONDS)
            try:
                self.write()
            except Error as error:  # the database is away; the users wait for the next turn
                logger.warning("contacts_not_written", error=type(error).__name__)
            finally:
                connection.close()  # returns it to the pool
