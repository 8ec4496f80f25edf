"""Three servers: a primary and two standbys. One standby must confirm each commit."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from bench.failover.node import DATABASE, Node, own
from mana_credits.dev.embedded_postgres import temporary_server
from tests.loopback import free_port

NAMES = ("one", "two", "three")
ANY_STANDBY = f"'ANY 1 ({', '.join(NAMES)})'"
WAIT_SECONDS = 60


class Cluster:
    """The servers and the current primary."""

    archives = True  # WAL is archived for point-in-time recovery

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.archive = folder / "archive"
        self.nodes = [Node(name, folder, free_port()) for name in NAMES]
        self.primary = self.nodes[0]

    @property
    def routes(self) -> dict[str, str]:
        """Return a DATABASE_URL for each route to the primary."""
        return {"several hosts": self.url}

    @property
    def url(self) -> str:
        """Return DATABASE_URL with all hosts. libpq chooses the one that accepts writes."""
        return make_conninfo(
            host=",".join("127.0.0.1" for _ in self.nodes),
            port=",".join(str(node.public_port) for node in self.nodes),
            user="postgres",
            dbname=DATABASE,
            target_session_attrs="read-write",
            connect_timeout=2,
        )

    @property
    def sources(self) -> str:
        """Return the standbys' connection string, which leads to the current primary."""
        ports = ",".join(str(node.port) for node in self.nodes)
        hosts = ",".join("127.0.0.1" for _ in self.nodes)
        return (
            f"host={hosts} port={ports} user=postgres target_session_attrs=read-write "
            "connect_timeout=2"
        )

    def create(self) -> None:
        """Create the primary, then its standbys. From then on, one of them must confirm commits."""
        self.archive.mkdir()
        own(self.archive)
        # PostgreSQL's documentation asks for the test: an archived file must never be overwritten.
        copy = f"'test ! -f {self.archive}/%f && cp %p {self.archive}/%f'"
        self.primary.create(archive_mode="on", archive_command=copy)
        self.primary.ask(f"CREATE DATABASE {DATABASE}")
        for node in self.standbys():
            node.follow(self.primary, self.sources)
        for node in self.nodes:
            node.configure(synchronous_standby_names=ANY_STANDBY)
            node.ask("SELECT pg_reload_conf()")
        self.wait_for_standbys(2)

    def standbys(self) -> list[Node]:
        """Return all servers but the primary."""
        return [node for node in self.nodes if node is not self.primary]

    def take_over(self) -> None:
        """Promote the standby that has received most, as failover managers do."""
        self.primary = max(self.standbys(), key=_received)
        self.primary.promote()

    def bring_back(self, node: Node) -> None:
        """Make a former primary a standby of the current one."""
        node.rejoin(self.primary, self.sources)

    def wait_for_standbys(self, count: int) -> None:
        """Wait until this many standbys stream from the primary.

        Both ends are asked. A `pg_basebackup` that makes a new copy streams too, and a standby
        does not notice at once that its primary has vanished.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        streaming = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
        while (
            self.primary.ask(streaming) < count
            or sum(_receives(node) for node in self.standbys()) < count
        ):
            assert time.monotonic() < deadline, f"{count} standbys do not stream"
            time.sleep(0.1)

    def wait_until_confirmed(self) -> None:
        """Wait until a standby confirms the primary's commits."""
        deadline = time.monotonic() + WAIT_SECONDS
        confirming = "SELECT count(*) FROM pg_stat_replication WHERE sync_state <> 'async'"
        while not self.primary.ask(confirming):
            assert time.monotonic() < deadline, "no standby confirms"
            time.sleep(0.1)

    def wait_until_equal(self) -> None:
        """Wait until every standby has replayed the primary's WAL."""
        self.wait_for_standbys(2)
        target = self.primary.ask("SELECT pg_current_wal_lsn()::text")
        deadline = time.monotonic() + WAIT_SECONDS
        while not all(_has_replayed(node, target) for node in self.standbys()):
            assert time.monotonic() < deadline, "the standbys do not catch up"
            time.sleep(0.1)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Run a cluster during the context."""
    with temporary_server():  # makes the programs runnable for PostgreSQL's user
        pass
    with tempfile.TemporaryDirectory(prefix="mana-credits-failover-") as folder:
        Path(folder).chmod(0o755)
        servers = Cluster(Path(folder))
        try:
            servers.create()
            yield servers
        finally:
            for node in servers.nodes:
                node.remove()


def _received(node: Node) -> int:
    try:
        received: int = node.ask("SELECT pg_last_wal_receive_lsn() - '0/0'::pg_lsn")
    except psycopg.OperationalError:
        return -1
    return int(received)


def _has_replayed(node: Node, position: str) -> bool:
    """Return whether a standby has replayed the WAL up to there; False while it starts."""
    try:
        return bool(node.ask(f"SELECT pg_last_wal_replay_lsn() >= '{position}'::pg_lsn"))
    except psycopg.OperationalError:
        return False


def _receives(node: Node) -> bool:
    """Return whether a standby receives WAL; False while it starts."""
    try:
        return bool(
            node.ask("SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'")
        )
    except psycopg.OperationalError:
        return False
