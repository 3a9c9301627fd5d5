"""How long the program itself takes: `builder --help`, `check-version` beside the `docker run` it contains, and a build
whose inputs are those of the build before.

Run with `.venv/bin/python benchmarks/startup.py [--runs N] [--image IMAGE]`. Without an image a tiny one is made
for the occasion and removed afterwards. Runs are interleaved, so that a busy machine slows both sides alike.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter

from builder.engine.throwaway import SANDBOX
from tests.tiny_program import program

HELP_LIMIT = 0.25
"""Seconds for `builder --help`."""
OVERHEAD_LIMIT = 0.3
"""Seconds that `check-version` may take beyond the `docker run` it contains."""

AGAIN_LIMIT = 2.0
"""Seconds for a build that is found."""

_TREE = Path(__file__).parents[1] / "tests" / "integration" / "standin"
_BUILT = "builder-benchmark/again"
_STAND_IN = "builder-benchmark/version:1"
_TRANSCRIPT = b"version: 10991 (0c1e570)\nbuilt with cc for x86_64-linux-gnu\n"


def main() -> int:
    """Measure, print a table, and return 1 where a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15, help="runs of each command (default 15)")
    parser.add_argument("--image", help="image whose entry point is llama-server (default: one made for the occasion)")
    options = parser.parse_args()
    builder = str(Path(sysconfig.get_path("scripts")) / "builder")
    with _image(options.image) as image:
        commands = {
            "builder --help": [builder, "--help"],
            "docker run": _docker_run(image),
            "builder check-version": [builder, "check-version", image],
            "builder build, again": _build(builder),
        }
        times = _measure(commands, options.runs)
    _forget()
    return _report(times)


def _build(builder: str) -> list[str]:
    return [
        builder,
        "build",
        "--until",
        "built",
        "--cpu",
        "--origin",
        str(_TREE),
        "--build-number",
        "10991",
        "--name",
        _BUILT,
    ]


def _forget() -> None:
    listed = subprocess.run(
        ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", _BUILT], capture_output=True, check=True
    )
    subprocess.run(["docker", "rmi", *listed.stdout.decode().split()], check=True, stdout=subprocess.DEVNULL)


def _docker_run(image: str) -> list[str]:
    return ["docker", "run", "--rm", "--pull", "never", *SANDBOX, image, "--version"]


@contextmanager
def _image(given: str | None) -> Iterator[str]:
    if given:
        yield given
        return
    content = program(_TRANSCRIPT)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("usr/bin/llama-server")
        entry.size, entry.mode = len(content), 0o755
        tar.addfile(entry, io.BytesIO(content))
    changes = ["--change", 'ENTRYPOINT ["/usr/bin/llama-server"]']
    subprocess.run(
        ["docker", "import", *changes, "-", _STAND_IN], input=archive.getvalue(), check=True, stdout=subprocess.DEVNULL
    )
    try:
        yield _STAND_IN
    finally:
        subprocess.run(["docker", "rmi", _STAND_IN], check=True, stdout=subprocess.DEVNULL)


def _measure(commands: dict[str, list[str]], runs: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            seconds = _time(command)
            if turn:
                times[name].append(seconds)
    return times


def _time(command: Sequence[str]) -> float:
    """Seconds of a command whose modules are compiled once, as an installed program's are."""
    started = perf_counter()
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    return perf_counter() - started


def _report(times: dict[str, list[float]]) -> int:
    show = sys.stdout.write
    show(f"{'command':<24}{'median':>9}{'fastest':>9}{'slowest':>9}  (seconds, {len(times['docker run'])} runs)\n")
    for name, seconds in times.items():
        show(f"{name:<24}{median(seconds):>9.3f}{min(seconds):>9.3f}{max(seconds):>9.3f}\n")
    helping = median(times["builder --help"])
    pairs = zip(times["builder check-version"], times["docker run"], strict=True)
    overhead = median(checked - ran for checked, ran in pairs)
    show(f"--help: {helping:.3f} s of at most {HELP_LIMIT} s\n")
    show(f"check-version beyond docker run: {overhead:.3f} s of at most {OVERHEAD_LIMIT} s\n")
    again = median(times["builder build, again"])
    show(f"build, again: {again:.3f} s of at most {AGAIN_LIMIT} s\n")
    return int(helping > HELP_LIMIT or overhead > OVERHEAD_LIMIT or again > AGAIN_LIMIT)


if __name__ == "__main__":
    sys.exit(main())
