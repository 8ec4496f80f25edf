"""Password hashes that give way to requests."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from django.contrib.auth.hashers import PBKDF2PasswordHasher

# A third of a second of computing would take half a processor from the requests beside it. At this
# priority the kernel gives it a tenth while others compute, and everything while nobody does.
NICENESS = 10
THREADS = 2


def _give_way() -> None:
    if sys.platform == "linux":  # elsewhere threads have no priority of their own
        niceness = max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0))
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)


# A thread cannot raise its priority again, so these do nothing but hash.
_threads = ThreadPoolExecutor(THREADS, "password-hash", _give_way)


class LowPriorityPBKDF2Hasher(PBKDF2PasswordHasher):
    """Django's default hash, computed in a thread of low priority. Hashes are as before."""

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        """Return the hash of a password."""
        return _threads.submit(super().encode, password, salt, iterations).result()
