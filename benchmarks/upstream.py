"""What a mirror of upstream costs, in seconds and bytes moved: by kind of clone, then through the program itself.

Run with `.venv/bin/python benchmarks/upstream.py [--runs N] [--json]`. Upstream is a generated history of
10,000 commits with 3,000 tags, served by `git daemon` on this machine through a proxy that counts every byte.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

from benchmarks.clones import Clones
from benchmarks.history import SMALL, Shape
from benchmarks.measuring import Bench, Row, table
from benchmarks.program import Program
from builder.process import Runner
from builder.upstream.git import settings_as_environment
from tests.integration.git_server import serve
from tests.integration.upstreams import upstream_copy

UNCHANGED_LIMIT = 0.5
"""Seconds for a `builder upstream` that finds nothing new."""
_SETTINGS = {"gc.autoDetach": "false", "maintenance.autoDetach": "false", "advice.detachedHead": "false"}


def main() -> int:
    """Measure, print a table, and return 1 where a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="runs of each command (default 5)")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the table")
    parser.add_argument("--small", action="store_true", help="a history of 300 commits, to try the script itself")
    parser.add_argument("--only", choices=("clones", "program"), help="one half of it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="builder-benchmark-") as folder:
        return _measure(Path(folder), options)


def _measure(scratch: Path, options: argparse.Namespace) -> int:
    shape = SMALL if options.small else Shape()
    upstream = upstream_copy(shape, scratch / "served")
    cache = scratch / "program" / "cache"
    cache.mkdir(parents=True)
    environment = {
        **settings_as_environment(_SETTINGS.items()),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "BUILDER_CACHE": str(cache),
        "PYTHONDONTWRITEBYTECODE": "",
    }
    with serve(upstream.folder.parent) as server:
        bench = Bench(server.proxy, Runner(), environment)
        url = server.url(upstream.folder.name)
        unchanged = None
        if options.only != "program":
            Clones(bench, upstream, url, scratch, options.runs).measure()
        if options.only != "clones":
            unchanged = Program(bench, upstream, url, cache, options.runs).measure()
    if options.json:
        sys.stdout.write(json.dumps(_document(shape, bench), indent=1) + "\n")
    else:
        sys.stdout.write(_heading(shape, options.runs) + table(bench.rows))
    return _judged(unchanged)


def _judged(unchanged: Row | None) -> int:
    if unchanged is None:
        return 0
    sys.stderr.write(f"unchanged builder upstream: {unchanged.seconds:.3f} s of at most {UNCHANGED_LIMIT} s\n")
    return int(unchanged.seconds > UNCHANGED_LIMIT)


def _heading(shape: Shape, runs: int) -> str:
    return f"{shape.commits} commits, {shape.tags} tags; {runs} runs each; {os.cpu_count()} cores; medians\n"


def _document(shape: Shape, bench: Bench) -> dict[str, object]:
    return {
        "schema_version": 1,
        "machine": {"cores": os.cpu_count(), "system": platform.platform()},
        "history": {"commits": shape.commits, "tags": shape.tags, "files": shape.files},
        "rows": [row.document() for row in bench.rows],
    }


if __name__ == "__main__":
    sys.exit(main())
