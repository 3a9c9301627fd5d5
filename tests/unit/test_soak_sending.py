"""Requests that do not wait for each other, against real servers on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import repeat
from pathlib import Path
from threading import Event, current_thread, main_thread
from time import monotonic, sleep

import pytest

from builder.performance.replies import Reply
from builder.performance.soak.container import ContainerWatch
from builder.performance.soak.looking import Onlooker, looking
from builder.performance.soak.mix import Question
from builder.performance.soak.sending import Book, alongside, send, tokens_read, waited
from builder.performance.soak.series import Ended
from builder.server.address import Address
from builder.server.answers import Timings
from builder.server.client import Client
from tests.unit.test_performance_wire import ASK, HEAD, WHOLE, server

CHAT = Question("turn", ASK, 2)


def sent_to(address: Address, times: list[float], patience: float, go_on: Callable[[], bool] = lambda: True) -> Book:
    book = Book()
    asyncio.run(send(address, zip(times, repeat(CHAT), strict=False), patience, book, go_on))
    return book


def test_requests_come_when_they_are_due_although_nobody_answers() -> None:
    times = [0.0, 0.2, 0.4, 0.6, 0.8]
    with server([30.0]) as address:
        began = monotonic()
        book = sent_to(address, times, patience=2)
    assert monotonic() - began < 25
    assert sorted(one.sent for one in book.asked) == times, "users wait from the moment on at which it was due"
    late = [one.late for one in book.asked if one.late is not None]
    assert len(late) == len(times)
    assert all(0 <= one < 1.5 for one in late), "each after the one before would be 2 s apart"
    assert [one.outcome for one in book.asked] == [Ended.TIMED_OUT] * 5
    assert "did not answer within 2 s" in book.asked[0].error
    assert book.in_flight == 0


def test_answers_are_noted_with_their_first_token() -> None:
    with server([HEAD, 0.1, WHOLE]) as address:
        book = sent_to(address, [0.0, 0.05], patience=60)
    assert [one.outcome for one in book.asked] == [Ended.ANSWERED] * 2
    assert all(one.first_token is not None and 0.1 <= one.first_token < 60 for one in book.asked)
    assert {(one.kind, one.tokens) for one in book.asked} == {("turn", 2)}


def test_what_holds_this_program_up_is_in_the_latency_and_told_apart() -> None:
    held_up = [1.0]

    def go_on() -> bool:
        sleep(held_up.pop() if held_up else 0)
        return True

    with server([HEAD, WHOLE]) as address:
        (asked,) = sent_to(address, [0.0], 60, go_on).asked
    assert asked.sent == 0.0
    assert asked.late is not None
    assert asked.first_token is not None
    assert asked.first_token >= asked.late >= 1.0


def test_what_goes_on_alongside_holds_no_request_up() -> None:
    released, done = Event(), Event()

    def work() -> None:
        assert current_thread() is not main_thread()
        if released.wait(60):
            done.set()

    async def run() -> None:
        beside = asyncio.create_task(alongside(work, 60))
        await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        released.set()
        while not done.is_set() and not beside.done():
            await asyncio.sleep(0.01)
        beside.cancel()
        await beside

    asyncio.run(run())
    assert done.is_set()


def test_what_is_done_alongside_is_done_to_its_end_and_its_error_is_raised() -> None:
    begun = Event()

    def work() -> None:
        begun.set()
        sleep(0.2)
        raise OSError("The disk is full.")

    async def run() -> None:
        beside = asyncio.create_task(alongside(work, 60))
        await asyncio.to_thread(begun.wait, 60)
        beside.cancel()
        await beside

    with pytest.raises(OSError, match="disk is full"):
        asyncio.run(run())


def test_what_breaks_off_is_an_error_and_the_others_go_on() -> None:
    with server([HEAD, b"data: nonsense\n\n"]) as address:
        book = sent_to(address, [0.0, 0.1], patience=60)
    assert [one.outcome for one in book.asked] == [Ended.ERROR] * 2
    assert all(one.error for one in book.asked)


def test_what_is_under_way_at_the_end_is_given_up() -> None:
    began = monotonic()
    with server([30.0]) as address:
        book = sent_to(address, [0.0, 0.1, 60.0], 60, lambda: monotonic() < began + 1)
    assert monotonic() - began < 25
    assert [one.outcome for one in book.asked] == [Ended.GIVEN_UP] * 2


def reply(timings: Timings | None, prompt: int | None) -> Reply:
    return Reply(sent=0.0, heard=(3.0, 4.0), ended=4.0, prompt_tokens=prompt, tokens=2, timings=timings)


def timings(cache: int | None) -> Timings:
    return Timings(prompt_n=30, prompt_ms=500, predicted_n=2, predicted_ms=1000, cache_n=cache)


def test_tokens_from_the_cache_are_told_or_what_was_not_computed() -> None:
    assert tokens_read(reply(timings(70), 100)) == (100, 70)
    assert tokens_read(reply(timings(None), 100)) == (100, 70)
    assert tokens_read(reply(None, 100)) == (100, None)
    assert tokens_read(reply(None, None)) == (None, None)


def test_time_in_which_nothing_was_computed_was_waited() -> None:
    assert waited(reply(timings(0), 100)) == pytest.approx(2.5)
    assert waited(reply(None, 100)) is None


class _Blind(Onlooker):
    """Sees once, and then the driver is gone."""

    def look(self) -> None:
        if self.samples:
            raise OSError("the driver is gone")
        super().look()


def _look_until_it_ends(onlooker: Onlooker) -> None:
    until = monotonic() + 30
    with looking(onlooker, 0.01):
        while not onlooker.ended and monotonic() < until:
            sleep(0.01)


def test_a_soak_that_nobody_looks_at_any_more_ends_with_the_reason(tmp_path: Path) -> None:
    unheard = Address("http://127.0.0.1:9")
    with Client(unheard, 1) as client, ContainerWatch("tcp://127.0.0.1:9", "none") as container:
        blind = _Blind(Book(), client, container, None, tmp_path / "log")
        with pytest.raises(OSError, match="the driver is gone"):
            _look_until_it_ends(blind)
    assert blind.ended
    assert len(blind.samples) == 1
