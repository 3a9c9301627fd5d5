"""What an image has to have shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.channels.ledger.evidence import ImageEntry, UsedGpu, VerdictEntry
from builder.channels.ledger.ledger import Ledger, open_ledger
from builder.channels.requirements import Lack, Requirement, lacks, requirements, verdicts_of
from builder.promotion import Promotion
from builder.settings import Settings
from tests.unit.ledger_entries import H100, L4, NOON, after, digest, quick_folder, verdict

NOW = NOON + timedelta(hours=1)
SECOND_H100 = UsedGpu("GPU-9", H100.name, H100.driver)
KINDS = (H100.name, L4.name)


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with quick_folder() as folder, open_ledger(folder / "ledger.sqlite") as ledger:
        yield ledger


def policy(*gates: Any, **facts: Any) -> Promotion:
    return Promotion(gates=gates or ("smoke",), **facts)


def asked(wanted: Promotion) -> Settings:
    return Settings(promotion=wanted)


def served(profile: str, outcome: Any = "pass", **facts: Any) -> VerdictEntry:
    document = {"reasons": [f"{profile} says so."], "measurements": {"profile": profile}}
    return verdict("image", "smoke", outcome, document=document, **facts)


def judged(
    ledger: Ledger, *verdicts: VerdictEntry, wanted: Promotion | None = None, variant: str = "cuda"
) -> tuple[Lack, ...]:
    for one in verdicts:
        ledger.verdicts.record(one)
    return lacks(ledger, (digest("image"),), variant, asked(wanted or policy()), NOW)


def why(found: Sequence[Lack]) -> str:
    (lack,) = found
    return lack.why


def test_what_passed_every_gate_lacks_nothing(ledger: Ledger) -> None:
    wanted = policy("version", "smoke")
    assert judged(ledger, verdict(gate="version", gpus=()), verdict(gate="smoke"), wanted=wanted) == ()


def test_every_gate_that_nobody_asked_is_a_lack(ledger: Ledger) -> None:
    found = judged(ledger, verdict(gate="smoke"), wanted=policy("version", "smoke", "correctness"))
    assert [(lack.requirement, lack.verdict) for lack in found] == [
        (Requirement("version", None), None),
        (Requirement("correctness", None), None),
    ]
    assert found[0].why == "version was not judged."


def test_another_images_verdict_counts_for_nothing(ledger: Ledger) -> None:
    assert why(judged(ledger, verdict("other"))) == "smoke was not judged."


def test_a_later_fail_beats_an_earlier_pass(ledger: Ledger) -> None:
    fail = verdict(outcome="fail", at=after(10), document={"reasons": ["It answers nothing."]})
    (lack,) = judged(ledger, verdict(), fail)
    assert lack.verdict == fail
    assert lack.why == "smoke failed on NVIDIA H100 (GPU-1) 50 min ago: It answers nothing."


def test_a_later_pass_beats_an_earlier_fail(ledger: Ledger) -> None:
    assert judged(ledger, verdict(outcome="fail"), verdict(at=after(10))) == ()


def test_of_one_moment_the_fail_counts(ledger: Ledger) -> None:
    assert "failed" in why(judged(ledger, verdict(), verdict(outcome="fail")))


def test_what_could_not_be_judged_has_not_passed(ledger: Ledger) -> None:
    found = judged(ledger, verdict(), verdict(outcome="could not judge", at=after(1), document={"reasons": ["Busy."]}))
    assert why(found) == "smoke could not be judged on NVIDIA H100 (GPU-1) 59 min ago: Busy."


def test_one_profile_that_failed_is_not_made_good_by_another(ledger: Ledger) -> None:
    found = judged(ledger, served("chat", "fail"), served("embedding", at=after(5)))
    assert why(found).startswith("smoke (chat) failed on")
    assert judged(ledger, served("chat", at=after(6))) == ()


def test_one_bad_gpu_of_a_kind_is_not_made_good_by_another(ledger: Ledger) -> None:
    bad = verdict(outcome="fail", gpus=(SECOND_H100,))
    wanted = policy(gpus=[H100.name])
    assert "(GPU-9)" in why(judged(ledger, bad, verdict(at=after(5)), wanted=wanted))
    assert judged(ledger, verdict(at=after(6), gpus=(SECOND_H100,)), wanted=wanted) == ()


def test_a_verdict_may_be_as_old_as_is_allowed_and_no_older(ledger: Ledger) -> None:
    assert judged(ledger, verdict(at=NOW - timedelta(days=14))) == ()
    old = judged(ledger, wanted=policy(max_age="13d"))
    assert why(old) == "smoke passed on NVIDIA H100 (GPU-1) 14 days ago. At most 13d are allowed."
    assert judged(ledger, wanted=policy(max_age="0")) == ()


def test_an_old_pass_of_one_profile_is_not_made_good_by_a_young_one_of_another(ledger: Ledger) -> None:
    found = judged(ledger, served("chat", at=NOW - timedelta(days=20)), served("embedding"))
    assert why(found).startswith("smoke (chat) passed on NVIDIA H100 (GPU-1) 20 days ago.")


def test_an_old_pass_is_made_good_by_a_young_one_on_another_gpu_of_the_kind(ledger: Ledger) -> None:
    old = verdict(at=NOW - timedelta(days=20), gpus=(SECOND_H100,))
    assert judged(ledger, old, verdict(), wanted=policy(gpus=[H100.name])) == ()


def test_a_fail_does_not_grow_too_old(ledger: Ledger) -> None:
    assert "failed" in why(judged(ledger, verdict(outcome="fail", at=NOW - timedelta(days=900))))


def test_a_pass_from_the_future_does_not_count_and_the_clock_is_named(ledger: Ledger) -> None:
    found = judged(ledger, verdict(at=NOW + timedelta(minutes=6), machine="tower"))
    assert why(found).startswith("The clock of tower is ahead: it dated the pass of smoke 2026-08-01T13:06:00")
    assert judged(ledger, verdict(at=NOW + timedelta(minutes=4))) == ()


def test_a_pass_from_the_future_does_not_hide_a_fail(ledger: Ledger) -> None:
    found = judged(ledger, verdict(outcome="fail"), verdict(at=NOW + timedelta(days=1)))
    assert "failed" in why(found)


def test_a_fail_from_the_future_counts(ledger: Ledger) -> None:
    found = judged(ledger, verdict(), verdict(outcome="fail", at=NOW + timedelta(days=1)))
    assert "by a clock that is ahead" in why(found)


def test_each_kind_of_gpu_of_the_fleet_is_asked_for(ledger: Ledger) -> None:
    wanted = policy("version", "smoke", gpus=KINDS)
    found = judged(ledger, verdict(gate="version", gpus=()), verdict(), wanted=wanted)
    assert [lack.requirement for lack in found] == [Requirement("smoke", L4.name)]
    assert why(found) == "smoke was judged on NVIDIA H100, and not on NVIDIA L4."
    assert judged(ledger, verdict(gpus=(L4,)), wanted=wanted) == ()


def test_a_gpu_outside_the_fleet_says_nothing(ledger: Ledger) -> None:
    assert judged(ledger, verdict(), verdict(outcome="fail", gpus=(L4,)), wanted=policy(gpus=[H100.name])) == ()


def test_where_no_kinds_are_configured_a_fail_on_any_counts(ledger: Ledger) -> None:
    assert "NVIDIA L4" in why(judged(ledger, verdict(at=after(5)), verdict(outcome="fail", gpus=(L4,))))


def test_an_image_for_cuda_that_was_judged_without_a_gpu_is_not_judged(ledger: Ledger) -> None:
    assert why(judged(ledger, verdict(gpus=()))) == "smoke was judged without a GPU, and it has to be on one."
    assert "on NVIDIA L4" in why(judged(ledger, wanted=policy(gpus=[L4.name])))


def test_an_image_for_the_cpu_needs_no_gpu(ledger: Ledger) -> None:
    assert judged(ledger, verdict(gpus=()), wanted=policy(gpus=[L4.name]), variant="cpu") == ()


def test_a_verdict_by_any_digest_of_the_image_counts(ledger: Ledger) -> None:
    ledger.images.record(ImageEntry(digest("config"), manifests=(digest("manifest"),)))
    ledger.verdicts.record(verdict("manifest"))
    assert lacks(ledger, (digest("config"),), "cuda", asked(policy()), NOW) == ()


def test_a_fail_by_a_digest_that_the_ledger_cannot_connect_is_seen_where_it_is_named(ledger: Ledger) -> None:
    ledger.verdicts.record(verdict("image", at=after(5)))
    ledger.verdicts.record(verdict("elsewhere", outcome="fail", at=after(9)))
    digests = (digest("image"), digest("elsewhere"))
    assert "failed" in why(lacks(ledger, digests, "cuda", asked(policy()), NOW))
    assert [one.outcome for one in verdicts_of(ledger, digests)] == ["fail", "pass"]


def test_a_profile_that_was_not_served_is_a_lack(ledger: Ledger) -> None:
    assert why(judged(ledger, served("chat"))) == "smoke was not judged with the profile embedding."
    assert judged(ledger, served("embedding", at=after(1))) == ()


@pytest.mark.parametrize(("profiles", "lacking"), [("chat,embedding", False), ("embedding", True)])
def test_a_gate_that_serves_several_profiles_at_once_has_to_have_served_all(
    ledger: Ledger, profiles: str, lacking: bool
) -> None:
    one = verdict("image", "correctness", document={"measurements": {"profiles": profiles}})
    found = judged(ledger, one, wanted=policy("correctness"))
    assert [lack.why for lack in found] == ["correctness was not judged with the profile chat."] * lacking


def test_a_document_without_reasons_or_figures_is_no_fault(ledger: Ledger) -> None:
    found = judged(ledger, verdict(outcome="fail", document={"measurements": None, "reasons": "text"}))
    assert why(found) == "smoke failed on NVIDIA H100 (GPU-1) 60 min ago."


def test_a_gate_named_twice_is_asked_for_once() -> None:
    doubled = Promotion(gates=("smoke", "smoke"), gpus=(L4.name, L4.name))
    assert requirements("cuda", doubled) == (Requirement("smoke", L4.name),)


HISTORIES = st.lists(
    st.builds(
        lambda profile, outcome, gpu, minutes: served(profile, outcome, gpus=(gpu,), at=after(minutes)),
        st.sampled_from(["chat", "embedding"]),
        st.sampled_from(["pass", "fail", "could not judge"]),
        st.sampled_from([H100, SECOND_H100, L4]),
        st.integers(-40, 40),
    ),
    max_size=6,
)


@given(HISTORIES, st.sampled_from([(), KINDS, (H100.name,)]))
def test_nothing_is_lacking_only_where_every_last_word_of_every_profile_is_a_pass(
    history: list[VerdictEntry], kinds: tuple[str, ...]
) -> None:
    last: dict[tuple[Any, ...], set[str]] = {}
    for one in sorted(history, key=lambda verdict: verdict.at):
        key = (one.document["measurements"]["profile"], one.gpus)
        same = last.get((*key, one.at), set())
        last = {known: outcomes for known, outcomes in last.items() if known[:2] != key}
        last[*key, one.at] = same | {one.outcome}
    words = {(gpus[0].name, outcome) for (_, gpus, _), outcomes in last.items() for outcome in outcomes}
    wanted = kinds or tuple({kind for kind, _ in words})
    shown = bool(words) and all((kind, "pass") in words for kind in wanted)
    served_on = {(gpus[0].name if kinds else "", profile) for profile, gpus, _ in last}
    complete = all((kind, profile) in served_on for kind in (kinds or ("",)) for profile in ("chat", "embedding"))
    passes = shown and complete and {outcome for kind, outcome in words if kind in wanted} == {"pass"}
    with quick_folder() as folder, open_ledger(folder / "ledger.sqlite") as ledger:
        assert (judged(ledger, *history, wanted=policy(gpus=kinds)) == ()) == passes
