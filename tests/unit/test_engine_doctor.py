from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder.engine.doctor import (
    Check,
    Diagnosis,
    check_cache,
    check_driver,
    check_gpus,
    check_machine,
    check_store,
    judge_access,
    judge_engine,
)
from builder.engine.gpu import Gpu, GpuAccess, GpuListing
from builder.engine.info import EngineInfo

NO_DRIVER = {
    "cdi": 'could not select device driver "cdi" with capabilities: []',
    "runtime": 'could not select device driver "" with capabilities: [[gpu]]',
}


def gpu(driver: str = "580.65.06", name: str = "NVIDIA H200") -> Gpu:
    return Gpu(0, name, "GPU-0", 150_754_820_096, "9.0", driver)


def info(memory: int = 64 * 10**9, *, containerd: bool = False) -> EngineInfo:
    return EngineInfo("26.1.5", "overlay2", containerd, 2, memory, "/var/lib/docker")


def test_one_missing_thing_makes_a_machine_unusable_and_warnings_do_not() -> None:
    ok, warn, missing = Check("a", "ok", ""), Check("b", "warn", ""), Check("c", "missing", "")
    assert Diagnosis((ok, warn)).usable
    assert not Diagnosis((ok, warn)).flawless
    assert Diagnosis((ok,)).flawless
    assert not Diagnosis((ok, missing)).usable


@pytest.mark.parametrize(
    ("driver", "cuda", "status", "words"),
    [
        ("580.65.06", "13.0", "ok", ""),
        ("580.65.06", "12.8", "ok", ""),
        ("550.54.15", "12.8", "warn", "driver 570 or later"),
        ("550.54.15", "13.0", "warn", "build.cuda to 12.4 or less"),
        ("390.157", "13.0", "warn", "driver 580 or later"),
        ("580.65.06", "99.0", "warn", "a newer driver"),
    ],
)
def test_the_driver_is_held_against_the_cuda_release(driver: str, cuda: str, status: str, words: str) -> None:
    (check,) = check_driver([gpu(driver)], cuda)
    assert check.status == status
    assert words in check.advice


def test_the_same_major_release_runs_machine_code_and_another_runs_nothing() -> None:
    (same,) = check_driver([gpu("550.54.15")], "12.8")
    assert "minor-version compatibility" in same.detail
    (other,) = check_driver([gpu("550.54.15")], "13.0")
    assert "will not run" in other.detail


def test_without_a_gpu_there_is_no_driver_to_judge() -> None:
    assert list(check_driver([], "13.0")) == []


def test_gpus_of_a_kind_are_counted() -> None:
    check = check_gpus(GpuListing((gpu(), gpu(), gpu(name="NVIDIA L4"))))
    assert check.status == "ok"
    assert check.detail.splitlines() == [
        "2 x NVIDIA H200, 150.75 GB, compute capability 9.0",
        "1 x NVIDIA L4, 150.75 GB, compute capability 9.0",
    ]


def test_a_driver_that_does_not_answer_is_told_from_no_driver() -> None:
    failing = check_gpus(GpuListing(complaint="NVIDIA-SMI has failed because it couldn't communicate"))
    assert failing.status == check_gpus(GpuListing()).status == "warn"
    assert "modprobe" in failing.advice
    assert "no NVIDIA driver" in check_gpus(GpuListing()).detail


def test_access_that_works_names_the_way() -> None:
    check = judge_access(GpuAccess("cdi", ("GPU 0: NVIDIA H200",), {}), has_gpus=True)
    assert (check.status, check.detail) == ("ok", "a container got 1 GPU by CDI")


def test_no_access_means_different_things_with_a_gpu_and_without() -> None:
    refused = GpuAccess(None, (), NO_DRIVER)
    assert judge_access(refused, has_gpus=False).advice == ""
    assert "nvidia-ctk runtime configure" in judge_access(refused, has_gpus=True).advice


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=all", "nvidia-ctk cdi generate"),
        ("Failed to initialize NVML: Unknown Error", "restart of Docker"),
    ],
)
def test_each_refusal_has_its_advice(text: str, advice: str) -> None:
    check = judge_access(GpuAccess(None, (), {**NO_DRIVER, "cdi": text}), has_gpus=True)
    assert check.status == "warn"
    assert text in check.detail
    assert advice in check.advice


def test_a_cache_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "cache"
    assert check_cache(folder).status in ("ok", "warn")
    assert list(folder.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    check = check_cache(tmp_path / "file" / "cache")
    assert check.status == "missing"
    assert "BUILDER_CACHE" in check.advice


def test_an_engine_that_cannot_build_is_missing() -> None:
    old = judge_engine(replace(info(), version="20.10.24+dfsg1"), "unix:///run/docker.sock")
    assert old.status == "missing"
    assert "too old" in old.detail
    assert "builder setup" in old.advice
    assert judge_engine(replace(info(), version="23.0.0"), "unix:///run/docker.sock").status == "ok"


def test_little_memory_is_warned_of() -> None:
    assert check_machine(info()).status == "ok"
    assert check_machine(info(memory=2 * 10**9)).status == "warn"


def test_both_image_stores_are_named() -> None:
    assert "classic" in check_store(info()).detail
    assert "containerd" in check_store(info(containerd=True)).detail
