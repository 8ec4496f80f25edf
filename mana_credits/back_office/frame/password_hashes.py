"""Password hashing at a low CPU priority."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from django.contrib.auth.hashers import PBKDF2PasswordHasher

# Hashing takes a third of a second of CPU time and would slow down concurrent requests. At this
# priority, the kernel gives the thread a tenth of a core while others compute, and a whole core
# otherwise.
NICENESS = 10
THREADS = 2


def _give_way() -> None:
    if sys.platform == "linux":  # other systems have no priority per thread
        # A process that already has a lower priority keeps it: raising it needs a privilege.
        niceness = max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0))
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)


# A thread cannot raise its priority again, so these threads only hash.
_threads = ThreadPoolExecutor(THREADS, "password-hash", _give_way)


class LowPriorityPBKDF2Hasher(PBKDF2PasswordHasher):
    """Django's default hasher, run in a low-priority thread. The hashes are unchanged."""

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        """Return the hash of a password."""
        return _threads.submit(super().encode, password, salt, iterations).result()
