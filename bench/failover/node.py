"""One PostgreSQL server of a cluster on loopback, with the embedded server's programs."""

import os
import pwd
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg.conninfo import make_conninfo

from mana_credits.dev.embedded_postgres import UNPRIVILEGED, program

DATABASE = "mana_credits"
START_SECONDS = 60
SETTINGS = {
    "listen_addresses": "'127.0.0.1'",
    "max_connections": "60",
    "wal_level": "replica",
    "max_wal_senders": "10",
    "wal_keep_size": "'512MB'",
    "hot_standby": "on",
    "wal_log_hints": "on",  # needed by pg_rewind
    # Short, so that standbys notice soon that their primary has vanished without closing
    # connections.
    "wal_receiver_timeout": "'3s'",
    "wal_retrieve_retry_interval": "'500ms'",
}


class Node:
    """A server named `name` with its own folder. `others` names its standbys."""

    def __init__(self, name: str, folder: Path, port: int) -> None:
        self.name = name
        self.folder = folder / name
        self.port = port
        self.data = self.folder / "data"

    @property
    def public_port(self) -> int:
        """Return the port on which the service and the other servers reach this one."""
        return self.port

    def dsn(self, database: str = DATABASE) -> str:
        """Return the connection string of this server only."""
        return make_conninfo(
            host="127.0.0.1", port=self.port, user="postgres", dbname=database, connect_timeout=3
        )

    def ask(self, statement: str, database: str = "postgres") -> Any:
        """Return the first value of a statement's result, or None."""
        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None

    def create(self, **settings: str) -> None:
        """Create an empty cluster and start it."""
        self.folder.mkdir()
        own(self.folder)
        run("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8")
        with (self.data / "pg_hba.conf").open("a") as rules:
            rules.write("host replication all 127.0.0.1/32 trust\n")
        self.configure(**SETTINGS, **settings, port=str(self.port))
        self.start()

    def follow(self, primary: "Node", sources: str) -> None:
        """Become a standby with a fresh copy of the primary, streaming from any of `sources`."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        own(self.folder)
        source = ("-d", primary.dsn("postgres"), "-X", "stream", "-c", "fast")
        run("pg_basebackup", *source, "-D", str(self.data))
        self._stream_from(sources)
        self.start()

    def rejoin(self, primary: "Node", sources: str) -> None:
        """Become a standby after a failover. pg_rewind removes WAL that was never acknowledged."""
        run("pg_rewind", "-D", str(self.data), "--source-server", primary.dsn("postgres"))
        self._stream_from(sources)
        self.start()

    def _stream_from(self, sources: str) -> None:
        (self.data / "standby.signal").touch()
        own(self.data / "standby.signal")
        self.configure(
            port=str(self.port), primary_conninfo=f"'{sources} application_name={self.name}'"
        )

    def configure(self, **settings: str) -> None:
        """Append settings to postgresql.auto.conf. The last value of each counts."""
        with (self.data / "postgresql.auto.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())

    def start(self) -> None:
        """Start the server and wait until it answers. Raises RuntimeError after START_SECONDS."""
        log = str(self.folder / "log")
        options = f"-k {self.folder}"
        command = ("start", "-D", str(self.data), "-l", log, "-o", options, "-W")
        run("pg_ctl", *command)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with suppress(psycopg.OperationalError):
                self.ask("SELECT 1")
                return
            time.sleep(0.1)
        raise RuntimeError(f"{self.name} did not start:\n{Path(log).read_text()[-3000:]}")

    def recover(self, backup: Path, archive: Path, moment: str) -> None:
        """Restore a base backup, replay the archive up to `moment`, and accept writes."""
        self.folder.mkdir()
        shutil.copytree(backup, self.data)
        own(self.folder)
        for path in self.data.rglob("*"):
            own(path)
        own(self.data)
        (self.data / "recovery.signal").touch()
        self.configure(
            port=str(self.port),
            restore_command=f"'cp {archive}/%f %p'",
            recovery_target_time=f"'{moment}'",
            recovery_target_action="'promote'",
            archive_mode="off",
            synchronous_standby_names="''",
        )
        self.start()

    def promote(self) -> None:
        """Promote this standby to primary."""
        run("pg_ctl", "promote", "-D", str(self.data), "-W")

    def kill(self) -> None:
        """Kill all processes with SIGKILL, as a power failure does."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)

    def processes(self) -> list[psutil.Process]:
        """Return its processes: PostgreSQL's all work in the data directory.

        `postmaster.pid` does not name a server that is just being started.
        """
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if Path(process.cwd()) == self.data:
                    found.append(process)
        return found

    def remove(self) -> None:
        """Stop the server and delete its folder."""
        self.kill()
        psutil.wait_procs(self.processes(), timeout=5)
        shutil.rmtree(self.folder, ignore_errors=True)


def run(name: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs as an unprivileged user."""
    done = subprocess.run(
        [str(program(name)), *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        cwd="/",
        **as_plain_user(),
    )
    assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"


def as_plain_user() -> dict[str, Any]:
    """Return the `subprocess` arguments that start a process as an unprivileged user."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam(UNPRIVILEGED)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def own(path: Path) -> None:
    """Make PostgreSQL's user the owner of a file or folder."""
    if os.geteuid() == 0:
        shutil.chown(path, UNPRIVILEGED)
    if path.is_dir():
        path.chmod(0o700)
