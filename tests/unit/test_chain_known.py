"""What the ledger says of an image, and so what is still to be asked of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from builder.chain.known import Known, look_up
from builder.channels.ledger.ledger import Ledger, open_ledger
from builder.channels.ledger.moves import HoldEntry
from builder.profiles import Profile
from builder.promotion import Promotion
from builder.settings import Settings
from tests.unit.ledger_entries import NOON, after, digest, name, quick_folder, verdict

NOW = NOON + timedelta(hours=1)
GATES: tuple[Any, ...] = ("version", "structure", "smoke", "correctness", "performance")


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with quick_folder() as folder, open_ledger(folder / "ledger.sqlite") as ledger:
        yield ledger


def known(ledger: Ledger, *, gates: tuple[Any, ...] = GATES, image: str = "image") -> Known:
    settings = Settings(promotion=Promotion(gates=gates, **{"max-age": "14d"}))
    return look_up(ledger, digest(image), "cuda", settings, NOW)


def record(ledger: Ledger, gate: str, outcome: str = "pass", **facts: Any) -> None:
    profiles = facts.pop("profiles", list[str]())
    for profile in profiles or [""]:
        measurements = {"profile": profile} if profile else {}
        document = {"reasons": ["It says so."], "measurements": measurements}
        ledger.verdicts.record(verdict("image", gate, outcome, document=document, **facts))


def profiles() -> list[str]:
    names: dict[str, Profile] = dict(Settings().profiles)
    return list(names)


def test_of_an_unknown_image_every_required_gate_is_asked_cheap_first(ledger: Ledger) -> None:
    found = known(ledger, gates=("smoke", "performance", "structure", "version"))
    assert found.to_ask(soak=False) == ("version", "structure", "smoke", "performance")
    assert found.failed == ()


def test_what_passed_is_not_asked_again(ledger: Ledger) -> None:
    record(ledger, "version", gpus=())
    record(ledger, "smoke", profiles=profiles())
    assert known(ledger).to_ask(soak=False) == ("structure", "correctness", "performance")


def test_a_gate_that_served_one_profile_only_is_asked_again(ledger: Ledger) -> None:
    record(ledger, "smoke", profiles=profiles()[:1])
    assert "smoke" in known(ledger).to_ask(soak=False)


def test_what_could_not_be_judged_is_asked_again(ledger: Ledger) -> None:
    record(ledger, "structure", "could not judge")
    assert "structure" in known(ledger).to_ask(soak=False)


def test_nothing_is_asked_of_what_failed(ledger: Ledger) -> None:
    record(ledger, "structure")
    record(ledger, "smoke", "fail", profiles=profiles()[:1])
    found = known(ledger)
    assert found.failed == ("smoke",)
    assert found.to_ask(soak=True) == ()


def test_a_failure_that_was_asked_again_and_passed_is_none(ledger: Ledger) -> None:
    record(ledger, "smoke", "fail", profiles=profiles())
    record(ledger, "smoke", "pass", profiles=profiles(), at=after(1))
    found = known(ledger)
    assert found.failed == ()
    assert "smoke" not in found.to_ask(soak=False)


def test_a_pass_that_is_too_old_is_asked_again(ledger: Ledger) -> None:
    record(ledger, "structure", at=NOON - timedelta(days=20))
    assert "structure" in known(ledger).to_ask(soak=False)


def test_a_soak_is_asked_where_it_is_wanted_once(ledger: Ledger) -> None:
    assert "soak" not in known(ledger).to_ask(soak=False)
    assert known(ledger).to_ask(soak=True)[-1] == "soak"
    record(ledger, "soak", profiles=profiles())
    assert "soak" not in known(ledger).to_ask(soak=True)


def test_the_hold_of_an_image_is_known(ledger: Ledger) -> None:
    ledger.holds.record(HoldEntry(name("hold"), digest("image"), "loses tokens", "me", NOON))
    assert [hold.reason for hold in known(ledger).holds] == ["loses tokens"]
    assert known(ledger, image="another").holds == ()
