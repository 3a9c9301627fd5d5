from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.engine.gpu import Gpu, access_flags, cuda_served_by, distinct_capabilities, driver_for, parse_gpus
from builder.errors import MachineError

DATA = Path(__file__).parent / "data" / "engine"
H100 = Gpu(
    index=0,
    name="NVIDIA H100 80GB HBM3",
    uuid="GPU-11111111-2222-3333-4444-555555555555",
    memory=81559 * 2**20,
    compute_capability="9.0",
    driver="580.159.04",
)
capabilities = st.tuples(st.integers(5, 13), st.integers(0, 9)).map(lambda pair: f"{pair[0]}.{pair[1]}")
gpus = st.builds(
    Gpu,
    index=st.integers(0, 64),
    name=st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9 -]{0,20}[A-Za-z0-9])?", fullmatch=True),
    uuid=st.uuids().map("GPU-{}".format),
    memory=st.integers(1, 2**20).map(lambda mebibytes: mebibytes * 2**20),
    compute_capability=capabilities,
    driver=st.from_regex(r"[0-9]{3}\.[0-9]{2,3}\.[0-9]{2}", fullmatch=True),
)


ASK = """
from builder.engine.gpu import compute_capabilities
from builder.errors import MachineError
from builder.process import Runner
try:
    print(*compute_capabilities(Runner()))
except MachineError as error:
    print(error.cause, error.remedy, sep="\\n")
"""


def asked(folder: Path, smi: str | None) -> list[str]:
    """What a process is told that finds this nvidia-smi, or none."""
    if smi is not None:
        program = folder / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{smi}\n", encoding="utf-8")
        program.chmod(0o755)
    env = {**os.environ, "PATH": str(folder)}
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, env=env, check=True)
    return done.stdout.splitlines()


def test_capabilities_are_those_of_the_gpus_at_hand(tmp_path: Path) -> None:
    listing = (DATA / "nvidia-smi-h100.csv").read_text(encoding="utf-8").strip()
    assert asked(tmp_path, f"echo '{listing}'") == ["9.0"]


def test_a_machine_without_a_driver_has_no_capabilities(tmp_path: Path) -> None:
    assert asked(tmp_path, None) == [""]


@pytest.mark.parametrize(
    ("smi", "words"),
    [
        ("echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18", "version mismatch"),
        ("echo 'NVIDIA-SMI has failed' >&2; exit 9", "NVIDIA-SMI has failed"),
        ("exit 12", "exit status 12"),
    ],
)
def test_a_driver_that_fails_is_not_taken_for_none(tmp_path: Path, smi: str, words: str) -> None:
    cause, remedy = asked(tmp_path, smi)
    assert words in cause
    assert "--cpu" in remedy


def test_a_gpu_of_unknown_capability_is_named_and_not_left_out(tmp_path: Path) -> None:
    known = "echo '0, NVIDIA L4, GPU-0, 23034, 8.9, 535.1'"
    cause, remedy = asked(tmp_path, f"{known}; echo '1, Tesla K80, GPU-1, 11441, [N/A], 470.1'")
    assert "Tesla K80" in cause
    assert "L4" not in cause
    assert "--arch" in remedy


def with_capability(capability: str) -> Gpu:
    return Gpu(0, "GPU", "GPU-0", 1, capability, "580.1")


def test_a_real_listing_is_read() -> None:
    assert parse_gpus((DATA / "nvidia-smi-h100.csv").read_text(encoding="utf-8")) == (H100,)


@given(st.lists(gpus, max_size=8))
def test_listings_read_back(listed: list[Gpu]) -> None:
    lines = [
        f"{gpu.index}, {gpu.name}, {gpu.uuid}, {gpu.memory >> 20}, {gpu.compute_capability}, {gpu.driver}\n"
        for gpu in listed
    ]
    assert parse_gpus("".join(lines)) == tuple(listed)


def test_settings_are_read_where_they_are_told() -> None:
    row = "0, NVIDIA L4, GPU-0, 23034, 8.9, 535.1, 72.00, 60.50, [N/A], Disabled\n"
    (gpu,) = parse_gpus(row)
    assert (gpu.power_limit, gpu.power_limit_enforced, gpu.power_limit_max) == (72.0, 60.5, None)
    assert gpu.persistence is False
    (silent,) = parse_gpus("0, NVIDIA L4, GPU-0, 23034, 8.9, 535.1, [N/A], [N/A], [Not Supported], [N/A]\n")
    assert (silent.power_limit, silent.persistence) == (None, None)


def test_what_the_driver_does_not_tell_stays_unknown() -> None:
    (gpu,) = parse_gpus("0, Orin, GPU-0, [N/A], [N/A], 540.4.0\n")
    assert (gpu.memory, gpu.compute_capability) == (0, "")
    with pytest.raises(MachineError, match="compute capability of Orin"):
        distinct_capabilities([with_capability("9.0"), gpu])


@pytest.mark.parametrize("text", ["", "No devices were found\n", 'Field "x" is not a valid field to query.\n\n'])
def test_complaints_are_no_gpus(text: str) -> None:
    assert parse_gpus(text) == ()


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    assert all(gpu.index >= 0 for gpu in parse_gpus(text))


def test_architectures_are_unique_and_in_the_order_of_numbers() -> None:
    listed = [with_capability(capability) for capability in ("12.0", "9.0", "8.6", "9.0")]
    assert distinct_capabilities(listed) == ("8.6", "9.0", "12.0")


@pytest.mark.parametrize(
    ("driver", "cuda"),
    [
        ("550.54.15", (12, 4)),
        ("570.86.10", (12, 8)),
        ("580.159.04", (13, 0)),
        ("536.25", (12, 2)),
        ("9999.1", (13, 2)),
        ("390.157", None),
        ("", None),
        ("[N/A]", None),
    ],
)
def test_drivers_serve_releases(driver: str, cuda: tuple[int, int] | None) -> None:
    assert cuda_served_by(driver) == cuda


@given(st.lists(st.integers(450, 700), min_size=2, max_size=8))
def test_a_newer_driver_never_serves_less(branches: list[int]) -> None:
    served = [cuda_served_by(f"{branch}.10") or (0, 0) for branch in sorted(branches)]
    assert all(older <= newer for older, newer in itertools.pairwise(served))


def test_the_driver_for_a_release_serves_it() -> None:
    assert driver_for((12, 4)) == 550
    assert driver_for((13, 0)) == 580
    assert driver_for((99, 0)) is None


def test_flags_name_all_or_some_gpus_in_each_way() -> None:
    assert access_flags("cdi") == ("--device", "nvidia.com/gpu=all")
    assert access_flags("cdi", ("0", "1")) == ("--device", "nvidia.com/gpu=0", "--device", "nvidia.com/gpu=1")
    assert access_flags("runtime") == ("--gpus", "all")
    assert access_flags("runtime", ("0", "1")) == ("--gpus", '"device=0,1"')
