"""How long answers may take, by how fast the first ones came."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder.engine.images import Image
from builder.gates.serving.trial import Trial
from builder.gates.smoke.live import Live
from builder.gates.smoke.memory import rounds_for
from builder.gates.smoke.pace import Pace, first_patience
from builder.gates.smoke.users import crowd_of
from builder.profiles import ProfileKind, profile
from builder.server.address import Address
from builder.server.client import Client
from builder.server.profile import ServedModel

FAST, SLOW = Pace(0.005), Pace(0.6)
"""Seconds for a token: of a GPU, and of a large model on two weak cores."""


def live(pace: Pace, kind: ProfileKind = "chat") -> Live:
    image = Image("sha256:1", (), (), 1, {}, (), "", "amd64")
    trial = Trial(image, profile(kind), ServedModel(Path("none"), None), ())
    return Live(trial, None, Client(Address("http://127.0.0.1:9"), 1.0), Path("none"), pace)  # type: ignore[arg-type]


def test_a_fast_server_has_a_minute_and_a_slow_one_twenty_times_its_own_pace() -> None:
    assert FAST.patience(48) == 60
    assert SLOW.patience(48) == pytest.approx(20 * 0.6 * 48)
    assert FAST.until_idle(1) == 10
    assert SLOW.until_idle(240) == pytest.approx(20 * 0.6 * 240 / 6)


def test_what_the_profile_says_holds_for_every_answer() -> None:
    stated = replace(SLOW, stated=90.0)
    assert {stated.patience(units) for units in (1, 48, 240)} == {90.0}
    assert stated.why == "The profile's answer-limit is 90 s."
    assert SLOW.why.endswith("5% of that would do: it hangs.")
    assert first_patience(profile("chat", answer_limit=90)) == 90
    assert first_patience(profile("chat")) == 600


def test_a_slow_server_is_asked_less_often_by_users_who_wait_longer() -> None:
    fast, slow = crowd_of(live(FAST)), crowd_of(live(SLOW))
    assert (fast.turns, fast.limit) == (3, 60)
    assert slow.turns == 1
    assert slow.limit > 20 * 0.6 * 24 * 10 - 1
    assert crowd_of(live(FAST, "embedding")).turns == 3


@pytest.mark.parametrize(
    ("each", "rounds"), [(0.0, 12), (0.02, 12), (1.0, 12), (1.1, 10), (2.0, 6), (3.0, 4), (30.0, 4)]
)
def test_memory_is_watched_over_fewer_rounds_where_each_takes_long(each: float, rounds: int) -> None:
    assert rounds_for(each) == rounds
