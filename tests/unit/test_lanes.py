"""Whether a driver runs an image that was built for a CUDA release, as judging and the doctor say it."""

from __future__ import annotations

import pytest

from builder.engine.doctor import check_driver
from builder.engine.gpu import Gpu
from builder.engine.images import Image
from builder.lanes import driver_refusal
from builder.plan.marks import OWN


def with_driver(version: str) -> Gpu:
    return Gpu(0, "GPU", "GPU-0", 1, "9.0", version)


def image(cuda: str, architectures: str = "") -> Image:
    labels = {f"{OWN}variant": "cuda", f"{OWN}cuda": cuda, f"{OWN}architectures": architectures}
    return Image("sha256:0", (), (), 0, labels, (), "", "amd64")


@pytest.mark.parametrize(
    ("driver", "cuda", "architectures"),
    [
        ("550.54.15", "12.4", ""),
        ("580.65.06", "12.8", "90-virtual"),
        ("550.54.15", "", ""),
        ("[N/A]", "13.0", ""),
        ("610.12", "13.4", ""),
        ("550.54.15", "12.8", "86-real,90-real"),
        ("550.54.15", "12.8", "90"),
    ],
)
def test_a_driver_that_serves_or_cannot_be_read_is_not_refused(driver: str, cuda: str, architectures: str) -> None:
    assert driver_refusal(with_driver(driver), image(cuda, architectures)) == ""


@pytest.mark.parametrize(
    ("driver", "cuda", "architectures", "cause", "remedy"),
    [
        (
            *("550.54.15", "12.8", "86-real,80-virtual"),
            "Driver 550.54.15 serves CUDA up to 12.4; this image needs 12.8. It holds no machine code for this GPU. ",
            "Install driver 570 or newer, or build with `--arch` for this GPU.",
        ),
        (
            *("550.54.15", "12.8", ""),
            "Driver 550.54.15 serves CUDA up to 12.4; this image needs 12.8. ",
            "Install driver 570 or newer",
        ),
        (
            *("550.54.15", "13.0", "90-real"),
            "Driver 550.54.15 serves CUDA up to 12.4; this image needs 13.0. ",
            "Install driver 580 or newer, or build with `--cuda-release 12.4`.",
        ),
        (
            *("580.65.06", "99.0", "90-real"),
            "serves CUDA up to 13.0; this image needs 99.0. ",
            "Install a newer driver, or build",
        ),
        (
            *("390.157", "13.0", "90-real"),
            "Driver 390.157 is too old for any CUDA release; this image needs 13.0. ",
            "Install driver 580 or newer.",
        ),
    ],
)
def test_an_old_driver_is_refused_with_the_one_that_helps(
    driver: str, cuda: str, architectures: str, cause: str, remedy: str
) -> None:
    refusal = driver_refusal(with_driver(driver), image(cuda, architectures))
    assert cause in refusal
    assert remedy in refusal


@pytest.mark.parametrize("driver", ["390.157", "450.1", "550.54.15", "580.65.06", "610.12", "[N/A]"])
@pytest.mark.parametrize("cuda", ["11.8", "12.4", "12.8", "13.0", "13.4"])
def test_the_doctor_says_what_judging_does(driver: str, cuda: str) -> None:
    gpu = with_driver(driver)
    (check,) = check_driver([gpu], cuda)
    assert (check.status == "ok") <= (not driver_refusal(gpu, image(cuda)))
    dead = "will not run" in check.detail or "too old" in check.detail
    assert dead == bool(driver_refusal(gpu, image(cuda, "90-real")))
    assert ("PTX does not" in check.detail) == (not dead and bool(driver_refusal(gpu, image(cuda, "90-virtual"))))
