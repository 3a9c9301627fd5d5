"""How much is asked of a machine, by how fast it is."""

from __future__ import annotations

import pytest

from builder.performance.effort import ANSWER, EFFORTS, QUICK, THOROUGH, USUAL, Effort, Work, fit
from builder.performance.lengths import Room, chat_lengths, text_lengths
from builder.performance.metrics import metric
from builder.performance.samples import Better, Family
from builder.profiles import profile

ROOM = Room(slot=2048, ubatch=512)


def work(effort: Effort, first: float, between: float, *, long: float, turn: float) -> Work:
    answer = ANSWER
    samples = {
        "itl/short": [between] * 10,
        "e2e/short": [first + answer * between, 99.0],
        "e2e/2k": [long],
        "llama-bench/pp512": [512 / (5 * first)],
        "llama-bench/tg64": [1 / between],
    }
    return fit(effort, samples, {"short": 3 * first, "2k": long, "users": turn, "llama-bench": 1.0}, ROOM)


def seconds(asked: Work, first: float, between: float, *, long: float, turn: float) -> float:
    more = (asked.answer - ANSWER) * between
    short = first + ANSWER * between
    users = asked.turns * turn * asked.answer / ANSWER
    return asked.times["short"] * (short + more) + asked.times["2k"] * (long + more) + users


GPU = {"first": 0.036, "between": 0.0015, "long": 0.55, "turn": 0.3}
TINY = {"first": 0.009, "between": 0.0005, "long": 0.2, "turn": 0.15}
SLOW = {"first": 4.5, "between": 0.14, "long": 20.0, "turn": 60.0}


@pytest.mark.parametrize("effort", EFFORTS.values(), ids=EFFORTS)
@pytest.mark.parametrize("machine", [GPU, TINY], ids=["GPU", "processor"])
def test_the_requests_of_a_run_take_about_as_long_as_one_has(effort: Effort, machine: dict[str, float]) -> None:
    asked = work(effort, **machine)
    assert 0.3 * effort.seconds < seconds(asked, **machine) < 1.3 * effort.seconds


def test_a_slow_machine_is_asked_for_the_least_that_tells_anything() -> None:
    asked = work(USUAL, **SLOW)
    assert asked.times == {"short": 2, "2k": 2}
    assert (asked.answer, asked.turns, asked.repetitions) == (16, 1, 2)


def test_more_time_asks_more() -> None:
    quick, usual, thorough = (work(effort, **GPU) for effort in (QUICK, USUAL, THOROUGH))
    assert quick.times["2k"] < usual.times["2k"] < thorough.times["2k"]
    assert quick.turns < usual.turns <= thorough.turns
    assert quick.answer == 32
    assert thorough.answer == 64


def test_vectors_are_asked_for_by_how_long_they_take() -> None:
    samples = {"embed/short": [0.01], "embed/batch": [0.1], "llama-bench/pp512": [5000.0]}
    asked = fit(QUICK, samples, {"short": 0.03, "batch": 0.1, "users": 0.1}, ROOM)
    assert asked.times == {"short": 60, "batch": 4}
    assert asked.repetitions == 9


def test_nothing_known_asks_for_the_least() -> None:
    assert fit(QUICK, {}, {}, ROOM).times == {}


@pytest.mark.parametrize(
    ("slot", "names"),
    [
        (2048, ["short", "2k"]),
        (8192, ["short", "2k", "near"]),
        (1024, ["short", "near"]),
        (2400, ["short", "2k"]),
        (150, ["short"]),
        (64, ["short"]),
    ],
)
def test_prompts_have_the_lengths_that_a_slot_takes(slot: int, names: list[str]) -> None:
    lengths = chat_lengths(slot, 32)
    assert list(lengths) == names
    assert all(1 <= tokens <= max(1, slot - 32) for tokens in lengths.values())
    assert lengths.get("2k", 1850) == 1850
    assert "near" not in lengths or lengths["near"] > 1.2 * max(v for k, v in lengths.items() if k != "near")


def test_a_text_fits_in_a_micro_batch() -> None:
    assert text_lengths(2048, 512) == {"short": 100, "near": 493}
    assert text_lengths(2048, 64) == {"short": 54}


def test_all_that_are_compared_are_asked_for_what_the_smallest_takes() -> None:
    profiles = [profile("chat", context=context, slots=4, batch=512, ubatch=ubatch) for context, ubatch in SIZES]
    room = Room.of(profiles)
    assert room == Room(slot=2048, ubatch=64)
    assert room.within(8192) == room, "a server that takes more changes nothing for the others"
    asked = Work({}, room.within(1024), answer=32)
    assert asked.lengths == chat_lengths(1024, 32)
    assert max(asked.lengths.values()) + 32 < asked.room.needed(32) <= 1024


SIZES = ((16384, 64), (8192, 512), (32768, 128))


def test_texts_are_as_long_as_the_smallest_micro_batch_takes() -> None:
    room = Room.of([profile("embedding", slots=1, ubatch=ubatch) for ubatch in (512, 256)])
    assert Work({}, room).lengths == {"short": 100, "near": 243}
    assert room.needed(64) == 251, "there is no answer"


def test_every_figure_says_its_unit_and_which_way_is_better() -> None:
    first = metric("ttft/2k")
    assert (first.unit, first.better, first.family) == ("s", Better.LOWER, Family.LATENCY)
    assert metric("llama-bench/pp512").better is Better.HIGHER
    assert metric("memory/container").family is Family.RESOURCE
    with pytest.raises(KeyError):
        metric("luck/7")
