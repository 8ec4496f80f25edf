"""Point-in-time recovery: a base backup and the archived WAL, replayed up to a point in time."""

import time
from pathlib import Path

from bench.failover.cluster import Cluster
from bench.failover.node import DATABASE, Node, own, run
from tests.loopback import free_port

WAIT_SECONDS = 60
RESTORED_SECONDS = 2
COUNT = "SELECT count(*) FROM credits.transactions WHERE created_at {} '{}'::timestamptz"
BROKEN = """
    SELECT count(*) FROM credits.balances b WHERE posted <> (
        SELECT coalesce(sum(amount), 0) FROM credits.transactions t WHERE t.user_id = b.user_id)
"""


class Recovery:
    """A base backup taken now. `mark` sets the point in time to restore."""

    def __init__(self, servers: Cluster) -> None:
        self.servers = servers
        self.backup = servers.folder / "backup"
        self.moment = ""
        self.backup.mkdir()
        own(self.backup)
        run("pg_basebackup", "-d", servers.primary.dsn("postgres"), "-D", str(self.backup))

    def mark(self) -> None:
        """Record the current time as the point in time to restore."""
        self.moment = self.servers.primary.ask("SELECT clock_timestamp()::text")
        time.sleep(RESTORED_SECONDS)

    def faults(self) -> list[str]:
        """Restore the backup. Return which transactions are missing or too many."""
        primary = self.servers.primary
        # Without the switch, the newest movements would stay in a file that is not archived yet.
        last = primary.ask("SELECT pg_walfile_name(pg_switch_wal())")
        self._wait_until_archived(str(last))
        node = Node("restored", self.servers.folder, free_port())
        try:
            node.recover(self.backup, self.servers.archive, self.moment)
            self._wait_until_writable(node)
            later = node.ask(COUNT.format(">", self.moment), DATABASE)
            earlier = COUNT.format("<", self._before())
            known = [each.ask(earlier, DATABASE) for each in (node, primary)]
            books = node.ask(BROKEN, DATABASE)
        finally:
            node.remove()
        faults = [f"{later} movements after the point in time were restored"] if later else []
        if known[0] != known[1] or not known[0]:
            faults.append(f"{known[0]} of {known[1]} movements were restored")
        return faults + ([f"{books} restored balances do not close"] if books else [])

    def _before(self) -> str:
        """Return a time before which every started transaction was committed at the mark."""
        earlier = f"SELECT ('{self.moment}'::timestamptz - interval '{RESTORED_SECONDS} s')::text"
        return str(self.servers.primary.ask(earlier))

    def _wait_until_archived(self, file: str) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not Path(self.servers.archive, file).exists():
            assert time.monotonic() < deadline, f"{file} was not archived"
            time.sleep(0.1)

    def _wait_until_writable(self, node: Node) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while node.ask("SELECT pg_is_in_recovery()"):
            assert time.monotonic() < deadline, "the restored server does not reach the target"
            time.sleep(0.1)
