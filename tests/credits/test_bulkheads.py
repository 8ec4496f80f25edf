"""A bulkhead has a few places; callers without a place are refused at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from credits import bulkheads
from credits.bulkheads import Bulkhead, TooBusy


@pytest.fixture(autouse=True)
def two_places(settings: Any) -> None:
    settings.BULKHEADS = {"things": 2}


class Holders:
    """Threads that hold places until they are released."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self.let_go = Event()

    def hold(self, bulkhead: Bulkhead, key: str | None = None) -> Any:
        entered = Event()

        def holding() -> None:
            with bulkhead.place(key):
                entered.set()
                self.let_go.wait(60)

        held = self._pool.submit(holding)
        assert entered.wait(60)
        return held


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Let the bulkheads read a clock whose `now`, in seconds, the test sets."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(bulkheads, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
def holders() -> Iterator[Holders]:
    with ThreadPoolExecutor(8) as pool:
        holders = Holders(pool)
        yield holders
        holders.let_go.set()


def test_a_third_thread_is_refused_and_a_place_that_was_left_is_free_again(
    holders: Holders,
) -> None:
    things = Bulkhead("things")
    held = [holders.hold(things), holders.hold(things)]

    with pytest.raises(TooBusy), things.place():
        pytest.fail("there was no place")
    holders.let_go.set()
    for one in held:
        one.result()

    with things.place():
        pass


def test_each_key_has_its_own_places(holders: Holders) -> None:
    things = Bulkhead("things")
    holders.hold(things, "alice")
    holders.hold(things, "alice")

    with things.place("bob"):
        pass
    with pytest.raises(TooBusy), things.place("alice"):
        pytest.fail("there was no place")


def test_a_thread_with_a_place_needs_no_second_one(holders: Holders, settings: Any) -> None:
    settings.BULKHEADS = {"things": 1}
    things = Bulkhead("things")

    with things.place("alice"), things.place("alice"):
        pass

    with things.place("alice"):
        holding_it_twice_gave_it_back_once = True
    assert holding_it_twice_gave_it_back_once


def test_a_place_is_given_back_when_the_block_fails() -> None:
    things = Bulkhead("things")

    for _ in range(3):
        with pytest.raises(KeyError), things.place():
            raise KeyError

    with things.place():
        pass


def test_with_patience_a_thread_waits_for_a_place_that_is_soon_left(holders: Holders) -> None:
    things = Bulkhead("things", patience=60)
    holders.hold(things)
    holders.hold(things)

    with ThreadPoolExecutor(1) as pool:

        def wait() -> bool:
            with things.place():
                return True

        waiting = pool.submit(wait)
        holders.let_go.set()

        assert waiting.result(60)


def test_patience_ends(holders: Holders) -> None:
    things = Bulkhead("things", patience=0.05)
    holders.hold(things)
    holders.hold(things)

    with pytest.raises(TooBusy), things.place():
        pytest.fail("there was no place")


def test_nobody_waits_for_places_that_were_held_too_long_already(
    holders: Holders, clock: SimpleNamespace
) -> None:
    things = Bulkhead("things", patience=60)
    holders.hold(things)
    holders.hold(things)
    clock.now += 61

    with pytest.raises(TooBusy), things.place():
        pytest.fail("there was no place")


def test_after_a_slow_holder_nobody_waits_until_one_was_quick(
    holders: Holders, clock: SimpleNamespace
) -> None:
    things = Bulkhead("things", patience=60)
    slow = things.place()
    slow.__enter__()
    clock.now += 61
    slow.__exit__(None, None, None)
    holders.hold(things)
    holders.hold(things)

    with pytest.raises(TooBusy), things.place():
        pytest.fail("there was no place")
    holders.let_go.set()


def test_a_slow_holder_is_no_reason_to_refuse_while_others_are_fast(
    holders: Holders, clock: SimpleNamespace
) -> None:
    things = Bulkhead("things", patience=60)
    slow = things.place()
    slow.__enter__()
    clock.now += 61
    with ThreadPoolExecutor(1) as other:
        other.submit(_enter_and_leave, things).result(60)
    slow.__exit__(None, None, None)
    holders.hold(things)
    holders.hold(things)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(_enter_and_leave, things)
        holders.let_go.set()

        waiting.result(60)


def test_the_oldest_slow_key_is_forgotten_when_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulkheads, "SLOW_KEYS", 2)
    things = Bulkhead("things", patience=-1)  # every holder is slow

    for key in ("alice", "bob", "carol"):
        with things.place(key):
            pass

    assert list(things._slow) == ["bob", "carol"]


def _enter_and_leave(bulkhead: Bulkhead) -> None:
    with bulkhead.place():
        pass


def test_the_refusal_is_the_bulkheads_own_and_says_when_to_try_again(holders: Holders) -> None:
    things = Bulkhead("things", refusal=lambda: ConnectionError("away"))
    holders.hold(things)
    holders.hold(things)

    with pytest.raises(ConnectionError, match="away"), things.place():
        pytest.fail("there was no place")
    assert (TooBusy.status, TooBusy.code, TooBusy.retry_after) == (503, "busy", 1)


def test_only_so_many_threads_wait_at_the_same_time(holders: Holders) -> None:
    things = Bulkhead("things", patience=60, waiters=1)
    holders.hold(things)
    holders.hold(things)

    def enter() -> bool:
        try:
            with things.place():
                return True
        except TooBusy:
            return False

    with ThreadPoolExecutor(4) as pool:
        answers = as_completed([pool.submit(enter) for _ in range(4)], timeout=60)
        refused = [next(answers).result() for _ in range(3)]
        holders.let_go.set()
        waited = next(answers).result()

    assert (refused, waited) == ([False] * 3, True)
