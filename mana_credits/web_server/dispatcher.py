"""The work of a worker's threads: read, answer and send, without waiting for any client."""

import time
from typing import Any
from uuid import uuid4

from gunicorn.http.errors import ParseException

from mana_credits.web_server import refusals
from mana_credits.web_server.answers import respond
from mana_credits.web_server.connection import CONTINUE, ClientGone, Connection, Phase
from mana_credits.web_server.connections import Connections
from mana_credits.web_server.malformed import Overloaded, RequestTimeout
from mana_credits.web_server.turns import Turns

# The thread that reads these requests also answers them, even if all turns are taken. They must
# wait for no dependency.
URGENT = frozenset({"/health"})


class Dispatcher:
    """Moves each connection on to its next phase.

    There is one thread more than `turns` allows to answer, so that one thread always reads. An
    incomplete request waits in the epoll, a complete one for its turn. If a turn is free, the
    thread that has read a request also answers it.
    """

    def __init__(self, worker: Any, connections: Connections) -> None:
        self._worker = worker
        self._connections = connections
        self._turns: Turns[Connection] = Turns(worker.cfg.threads)

    def carry_on(self, connection: Connection) -> None:
        """Continue with a claimed connection that is readable or writable."""
        try:
            has_request = self._has_request(connection)
        except ClientGone:
            self._connections.close(connection)
        except Exception:  # an unexpected error closes this connection only
            self._worker.log.exception("Error reading a request")
            self._connections.abandon(connection)
        else:
            if has_request:
                self._answer_in_turn(connection)

    def end(self, connection: Connection) -> None:
        """End a claimed connection that exceeded its time limit.

        Answer an incomplete request with 408.
        """
        try:
            if connection.phase in {Phase.HEAD, Phase.BODY}:
                self._refuse(connection, RequestTimeout())
            else:
                self._connections.close(connection)
        except ClientGone:
            self._connections.close(connection)

    def refuse_overdue(self) -> None:
        """Answer requests that waited too long for a thread with 503."""
        now = time.monotonic()
        for connection in self._turns.take_while(lambda one: one.deadline < now):
            try:
                self._refuse(connection, Overloaded())
            except ClientGone:
                self._connections.close(connection)

    def _has_request(self, connection: Connection) -> bool:
        """Receive or send. Return whether a request is complete afterwards."""
        if connection.phase is Phase.SENDING:
            return self._send(connection)
        if connection.phase is Phase.LINGERING:
            self._linger(connection)
            return False
        try:
            if connection.receive():
                return True
        except ParseException as error:
            self._refuse(connection, error)
            return False
        self._await_rest(connection)
        return False

    def _await_rest(self, connection: Connection) -> None:
        """Wait for the rest of a request, or for the first byte of the next one."""
        # Clients that send `Expect: 100-continue` wait about a second before they send the body
        # anyway.
        if connection.reader.wants_continue():
            connection.sendall(CONTINUE)
            connection.flush()
        if connection.reader.in_body:
            connection.remain_in(Phase.BODY)
        elif connection.reader.held:
            connection.remain_in(Phase.HEAD)
        self._connections.watch(connection)

    def _answer_in_turn(self, connection: Connection) -> None:
        """Answer the request, and then waiting requests, each in its turn.

        A client that pipelines requests goes to the end of the queue after each response.
        """
        connection.enter(Phase.TURN)
        if connection.path in URGENT and not self._answer(connection):
            return
        mine = self._turns.enter(connection)
        while mine:
            has_next = self._answer(mine)
            if has_next:
                mine.enter(Phase.TURN)
            mine = self._turns.next(mine if has_next else None)

    def _answer(self, connection: Connection) -> bool:
        """Answer the request. Return whether the connection's next request is already complete."""
        try:
            # The client may have gone while its request waited for a turn.
            if not connection.is_abandoned():
                respond(self._worker, connection)
                return self._send(connection)
            self._connections.close(connection)
        except ClientGone:
            self._connections.close(connection)
        except Exception:  # the thread must continue with the next turn
            self._worker.log.exception("Error answering a request")
            self._connections.abandon(connection)
        return False

    def _send(self, connection: Connection) -> bool:
        """Send what the kernel accepts. Return whether the next request is complete.

        False while bytes are unsent, or if the connection closes.
        """
        if not connection.flush():
            connection.remain_in(Phase.SENDING)
            self._connections.watch(connection)
            return False
        if connection.closes:
            self._close(connection)
            return False
        try:
            if connection.next_request():
                return True
        except ParseException as error:
            self._refuse(connection, error)
            return False
        if connection.reader.is_empty:
            self._connections.watch_idle(connection)
        else:
            self._await_rest(connection)
        return False

    def _refuse(self, connection: Connection, error: Exception) -> None:
        """Answer a request that cannot reach the application.

        Response and log contain no part of it, because it may contain a token or a gift code.
        """
        request_id = uuid4().hex
        self._worker.log.warning(
            "Refused a malformed or late request: %s (%s)", refusals.reason(error), request_id
        )
        # The rest of the request may still arrive and must not be read as the next request.
        connection.closes = connection.may_send_more = True
        connection.sendall(refusals.answer(error, request_id))
        self._send(connection)

    def _close(self, connection: Connection) -> None:
        """Close the connection; after the client does, if it may still be sending."""
        # The kernel resets a connection that is closed with unread bytes, and the client may lose
        # the response.
        if connection.has_input():
            connection.linger()
            self._connections.watch(connection)
        else:
            self._connections.close(connection)

    def _linger(self, connection: Connection) -> None:
        """Discard incoming bytes until the client closes the connection."""
        if connection.discard():
            self._connections.close(connection)
        else:
            self._connections.watch(connection)
