"""GPU architectures by CUDA release."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import MachineError, UsageError
from builder.plan.architectures import (
    compiler_codes,
    default,
    has_machine_code_for,
    known,
    number_of,
    of_gpus,
    parse,
    runs_on,
)

_RELEASES = st.sampled_from(["11.0", "11.1", "11.4", "11.7", "11.8", "12.0", "12.4", "12.8", "12.9", "13.0", "13.4"])


def test_a_number_means_machine_code() -> None:
    assert parse(["86", "89"], "12.4") == ("86-real", "89-real")


def test_other_forms_stay_and_doubles_go() -> None:
    assert parse(["90a", " 90-VIRTUAL ", "120a-real", "90a", "120f"], "13.0") == (
        "90a-real",
        "90-virtual",
        "120a-real",
        "120f-real",
    )


@pytest.mark.parametrize(
    ("name", "cuda", "listed"),
    [
        ("70", "13.0", "75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121"),
        ("120", "12.4", "89, 90"),
        ("89", "11.7", "86, 87"),
        ("90a", "11.8", "90"),
        ("86a", "13.0", "86"),
        ("100f", "12.8", "100, 101, 120"),
        ("90f", "13.0", "90"),
        ("native", "13.0", "75"),
        ("sm_90", "13.0", "75"),
        ("90-fake", "13.0", "75"),
        ("90;80", "13.0", "75"),
        ("", "13.0", "75"),
    ],
)
def test_unknown_is_refused_with_the_known(name: str, cuda: str, listed: str) -> None:
    with pytest.raises(UsageError, match=f"CUDA {cuda} does not know the architecture `{name}`") as refusal:
        parse([name], cuda)
    assert listed in refusal.value.remedy


def test_none_is_refused() -> None:
    with pytest.raises(UsageError, match="No architecture"):
        parse([], "13.0")


def test_release_too_old() -> None:
    with pytest.raises(UsageError, match="too old"):
        known("10.2")


def test_release_not_listed_has_what_the_one_before_has() -> None:
    assert known("12.6") == known("12.0")
    assert known("13.4") == known("13.0")


def test_default_is_machine_code_for_the_fleet_and_ptx_that_later_gpus_take() -> None:
    assert " ".join(default("13.0")) == "75-real 80-real 86-real 89-real 90-real 100-real 120-real 90-virtual"
    assert " ".join(default("12.4")) == "75-real 80-real 86-real 89-real 90-real 90-virtual"
    assert " ".join(default("11.1")) == "75-real 80-real 86-real 86-virtual"


@given(_RELEASES)
def test_default_is_known_to_its_release(cuda: str) -> None:
    assert parse(default(cuda), cuda) == default(cuda)


@given(_RELEASES, st.data())
def test_known_ones_come_back_in_order_and_are_stable(cuda: str, data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(known(cuda)), min_size=1, unique=True))
    words = parse(map(str, chosen), cuda)
    assert [number_of(word) for word in words] == chosen
    assert parse(words, cuda) == words


@given(st.text(max_size=8), _RELEASES)
def test_any_text_is_a_known_architecture_or_a_usage_error(text: str, cuda: str) -> None:
    try:
        (word,) = parse([text], cuda)
    except UsageError:
        return
    assert number_of(word) in known(cuda)


def test_gpus_at_hand() -> None:
    assert of_gpus(["9.0", "8.6", "9.0", "12.0"], "13.0") == ("86-real", "90-real", "120-real")


def test_no_gpu_at_hand() -> None:
    with pytest.raises(MachineError, match="no GPU"):
        of_gpus([], "13.0")


def test_gpu_that_the_release_has_dropped() -> None:
    with pytest.raises(UsageError, match="`70`"):
        of_gpus(["7.0"], "13.0")


def test_strange_capability() -> None:
    with pytest.raises(MachineError, match="N/A"):
        of_gpus(["[N/A]"], "13.0")


def test_compiler_codes() -> None:
    assert compiler_codes("90-real") == {"sm_90"}
    assert compiler_codes("90-virtual") == {"compute_90"}
    assert compiler_codes("120-real") == {"sm_120", "sm_120a"}
    assert compiler_codes("120f-real") == {"sm_120f"}


def test_number_of_something_else() -> None:
    with pytest.raises(ValueError, match="native"):
        number_of("native")


@pytest.mark.parametrize(
    ("words", "capability", "runs"),
    [
        ("90-real", "9.0", True),
        ("80-real", "8.6", True),
        ("86-real", "8.0", False),
        ("86-real", "9.0", False),
        ("86-real,80-virtual", "9.0", True),
        ("90-virtual", "8.9", False),
        ("90a-virtual", "10.0", False),
        ("100f-real", "10.3", True),
        ("120-virtual", "12.1", False),
        ("120-real", "12.0", True),
        ("of another form", "9.0", True),
    ],
)
def test_a_gpu_runs_machine_code_of_its_major_number_and_earlier_ptx(words: str, capability: str, runs: bool) -> None:
    assert runs_on(words.split(","), capability) is runs


@pytest.mark.parametrize(
    ("words", "capability", "has"),
    [
        ("90-real", "9.0", True),
        ("90", "9.0", True),
        ("80-real", "8.6", True),
        ("90-virtual", "9.0", False),
        ("86-real,80-virtual", "9.0", False),
        ("90a-virtual", "9.0", False),
        ("90a-real", "9.0", True),
        ("of another form", "9.0", False),
    ],
)
def test_machine_code_for_a_gpu_is_told_from_what_its_driver_would_compile(
    words: str, capability: str, has: bool
) -> None:
    assert has_machine_code_for(words.split(","), capability) is has
