"""What `--gpus` means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.engine.gpu import Gpu
from builder.engine.gpu_choice import GpuChoice
from builder.errors import UsageError


def gpu(index: int, uuid: str) -> Gpu:
    return Gpu(index, "GPU", uuid, 1, "9.0", "580.1")


GPUS = (gpu(0, "GPU-aaaa-1"), gpu(1, "GPU-aaaa-2"), gpu(2, "GPU-bbbb-3"))


def chosen(text: str, gpus: tuple[Gpu, ...] = GPUS) -> list[int]:
    return [one.index for one in GpuChoice.parse(text).among(gpus)]


@pytest.mark.parametrize(
    ("text", "indices"),
    [
        ("auto", [0]),
        ("all", [0, 1, 2]),
        ("none", []),
        ("none,none", []),
        ("2", [2]),
        ("2,0", [2, 0]),
        (" 2 , 0 ", [2, 0]),
        ("01", [1]),
        ("gpu-BBBB", [2]),
        ("GPU-aaaa-2", [1]),
    ],
)
def test_choices(text: str, indices: list[int]) -> None:
    assert chosen(text) == indices


@pytest.mark.parametrize("text", ["auto", "all", "none"])
def test_without_gpus_there_is_nothing_to_choose(text: str) -> None:
    assert chosen(text, ()) == []


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("0,none", "`none` stands alone"),
        ("all,auto", "`auto` stands alone"),
        ("", "names no GPU"),
        ("0,,1", "names no GPU between its commas"),
        ("7", "There is no GPU 7"),
        ("-1", "'-1' is neither a number nor a UUID"),
        ("GPU-cccc", "There is no GPU GPU-cccc"),
        ("bbbb", "'bbbb' is neither a number nor a UUID"),
        ("GPU-aaaa", "the start of several"),
        ("0,0", "names 0 twice"),
        ("1,01", "names GPU 1 twice, as 1 and 01"),
        ("2,GPU-bbbb-3", "names GPU 2 twice, as 2 and GPU-bbbb-3"),
    ],
)
def test_what_names_no_one_gpu_is_refused(text: str, cause: str) -> None:
    with pytest.raises(UsageError, match=cause):
        chosen(text)


def test_those_that_are_there_are_told() -> None:
    with pytest.raises(UsageError) as refusal:
        chosen("7")
    assert refusal.value.excerpt[2] == "2: GPU, GPU-bbbb-3"


@given(st.text())
def test_any_text_is_a_choice_or_refused(text: str) -> None:
    try:
        found = chosen(text)
    except UsageError:
        return
    assert len(found) == len(set(found))
