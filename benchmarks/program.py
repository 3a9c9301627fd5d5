"""What the program's own commands on upstream cost, from an empty cache onwards."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from benchmarks.measuring import Bench, Row, Sample, disk_usage
from builder.holds import Hold
from builder.process import Runner
from builder.settings import Channel
from builder.upstream.choice import Chooser
from builder.upstream.git import Git
from builder.upstream.repository import Repository
from builder.upstream.selection import Policy
from tests.integration.git_server import Traffic
from tests.integration.upstreams import Upstream

_CHANNELS: tuple[Channel, ...] = ("nightly", "releases", "branch")
_FIRST = 600.0
_UNCHANGED_RUNS = 15
"""More than of the others: there is a limit to judge by."""
_LOG = (30, 250)
"""How many builds a log goes back: a week's and two months' worth of a project that tags several times a day."""


@dataclass(frozen=True)
class Program:
    """Measures `builder upstream` and what belongs to it.

    Attributes:
        cache: the program's cache folder; the environment of the bench names it too.
    """

    bench: Bench
    upstream: Upstream
    url: str
    cache: Path
    runs: int

    def measure(self) -> Row:
        """Add a row for each command.

        Returns:
            That of a `builder upstream` which finds nothing new.
        """
        self._configure()
        self._repeat("builder --help", "", "--help")
        self._first()
        unchanged = self._repeat("builder upstream", "nothing new", "upstream", runs=_UNCHANGED_RUNS)
        self._new_builds()
        self._repeat("builder upstream list", "", "upstream", "list")
        newest = self._newest()
        for count in _LOG:
            since = self.upstream.git("describe", "--tags", "--match=b*", "--abbrev=0", f"master~{count}")
            self._repeat("builder upstream log", f"{count} commits or so", "upstream", "log", f"{since}..b{newest}")
        self._selection()
        return unchanged

    def _configure(self) -> None:
        self._config.write_text(
            "[upstream]\n"
            f'origin = "{self.url}"\nrepository = "{self.url}"\ncooldown = "12h"\n'
            f'hold = [{{ ref = "b{self._newest()}", reason = "slow" }}]\n'
            '[version]\nminimum = "2"\n[image]\nrepository = "builder-benchmark/none"\n'
        )

    def _first(self) -> None:
        samples = []
        for _ in range(self.runs):
            shutil.rmtree(self.cache, ignore_errors=True)
            samples.append(self.bench.sample(self._command("upstream"), limit=_FIRST)[0])
        self.bench.add("builder upstream", "first, mirrors", samples, disk_usage(self._mirror()))

    def _new_builds(self) -> None:
        samples = []
        for _ in range(self.runs):
            self.upstream.build(when=datetime.now(UTC))
            samples.append(self.bench.sample(self._command("upstream"))[0])
        self.bench.add("builder upstream", "one new build", samples)

    def _repeat(self, what: str, how: str, *words: str, runs: int = 0) -> Row:
        samples = [self.bench.sample(self._command(*words))[0] for _ in range(1 + (runs or self.runs))]
        return self.bench.add(what, how, samples[1:])

    def _selection(self) -> None:
        """Choosing alone, without the program's start and without asking the server."""
        repository = Repository(Git(Runner(), self.url), self._mirror())
        hold = Hold.of(f"b{self._newest()}", "slow")
        for channel in _CHANNELS:
            policy = Policy(channel=channel, holds=(hold,))
            samples = []
            for _ in range(self.runs):
                started = perf_counter()
                Chooser.of(repository, policy).choose("latest")
                samples.append(Sample(perf_counter() - started, Traffic()))
            self.bench.add("selection alone", channel, samples)

    def _newest(self) -> int:
        return int(self.upstream.git("rev-list", "--count", "master"))

    def _mirror(self) -> Path:
        return next((self.cache / "mirrors").glob("*.git"))

    @property
    def _config(self) -> Path:
        return self.cache.with_name("builder.toml")

    def _command(self, *words: str) -> Sequence[str]:
        return [sys.executable, "-m", "builder", "--config", str(self._config), *words]
