"""NVIDIA's Python package on a driver's library that tells of GPUs which are made up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from builder.engine.client import Engine
from builder.image.bases import Choice
from tests.integration.gates.gpu_doubles import L4, compile_nvml

LOOK = """
import json, sys
from dataclasses import asdict
from builder.engine.nvml import watch_gpu
with watch_gpu(sys.argv[1]) as watch:
    sample = watch.sample()
    print(json.dumps([{**asdict(sample), "throttling": sample.throttling}, watch.absence]))
"""


def look(folder: Path, uuid: str = L4.uuid) -> tuple[dict[str, Any], str]:
    """What a process sees whose driver's library is in that folder."""
    env = {**os.environ, "LD_LIBRARY_PATH": str(folder), "NVML_DOUBLE": str(folder)}
    done = subprocess.run([sys.executable, "-c", LOOK, uuid], capture_output=True, text=True, env=env, check=True)
    sample, absence = json.loads(done.stdout)
    return sample, absence


@pytest.fixture(scope="module")
def driver(engine: Engine, cpu_bases: Choice, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("driver")
    compile_nvml(engine, cpu_bases.bases.devel, folder)
    (folder / "0.neighbour").write_text("4711", encoding="ascii")
    return folder


def test_everything_is_told(driver: Path) -> None:
    sample, absence = look(driver)
    assert absence == ""
    assert sample["unknown"] == {}
    assert (sample["sm_clock"], sample["sm_clock_max"]) == (1410, 1980)
    assert (sample["memory_clock"], sample["temperature"]) == (2619, 41)
    assert (sample["power"], sample["power_limit"]) == (123.456, 700.0)
    assert (sample["utilisation"], sample["memory_utilisation"]) == (17, 5)
    assert (sample["memory_used"], sample["memory_total"]) == (1300 << 20, 24000 << 20)
    assert sample["reasons"] == ["idle", "power cap"]
    assert sample["throttling"] == ["power cap"]
    assert sample["processes"] == [{"pid": 4711, "memory": 300 << 20}]


def test_an_old_driver_is_asked_in_its_words_and_what_it_does_not_tell_is_unknown(
    engine: Engine, cpu_bases: Choice, tmp_path: Path
) -> None:
    compile_nvml(engine, cpu_bases.bases.devel, tmp_path, old=True)
    sample, _ = look(tmp_path)
    assert sample["throttling"] == ["power cap", "temperature"]
    assert sample["processes"] == []
    assert sample["power_limit"] is None
    assert list(sample["unknown"]) == ["power_limit"]
    assert "Not Supported" in sample["unknown"]["power_limit"]


def test_a_gpu_that_the_driver_does_not_know_is_unknown(driver: Path) -> None:
    sample, absence = look(driver, "GPU-cccc")
    assert absence == "The driver's library does not know the GPU GPU-cccc: Not Found."
    assert sample["memory_used"] is None
    assert sample["unknown"]["memory_used"] == absence


def test_without_a_driver_everything_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "libnvidia-ml.so.1").write_text("no library", encoding="ascii")
    sample, absence = look(tmp_path)
    assert absence.startswith("The driver's library libnvidia-ml.so.1 cannot be used: ")
    assert sample["processes"] is None
    assert sample["throttling"] is None
