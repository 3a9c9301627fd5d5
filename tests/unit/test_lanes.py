"""Whether a driver serves the CUDA release of an image."""

from __future__ import annotations

import pytest

from builder.engine.gpu import Gpu
from builder.errors import MachineError
from builder.lanes import require_driver


def with_driver(version: str) -> Gpu:
    return Gpu(0, "GPU", "GPU-0", 1, "9.0", version)


@pytest.mark.parametrize(
    ("driver", "cuda"),
    [("550.54.15", "12.4"), ("580.65.06", "12.8"), ("550.54.15", ""), ("[N/A]", "13.0"), ("610.12", "13.4")],
)
def test_a_driver_that_serves_or_cannot_be_read_is_not_refused(driver: str, cuda: str) -> None:
    require_driver(with_driver(driver), cuda)


@pytest.mark.parametrize(
    ("driver", "cuda", "cause", "remedy"),
    [
        ("550.54.15", "12.8", "Driver 550.54.15 serves CUDA up to 12.4; this image needs 12.8.", "Install driver 570"),
        ("580.65.06", "99.0", "serves CUDA up to 13.0; this image needs 99.0.", "Install a newer driver, or build"),
        ("390.157", "13.0", "Driver 390.157 is too old for any CUDA release", "Install driver 580 or newer."),
    ],
)
def test_an_old_driver_is_refused_with_the_one_that_helps(driver: str, cuda: str, cause: str, remedy: str) -> None:
    with pytest.raises(MachineError) as refusal:
        require_driver(with_driver(driver), cuda)
    assert cause in refusal.value.cause
    assert refusal.value.remedy.startswith(remedy)
