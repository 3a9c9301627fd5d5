"""What llama-bench prints, in the forms that tell single repetitions and in those that tell their mean alone."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

FORMS = ("jsonl", "json", "csv", "md")
"""By what they tell, the most telling first."""
_TEST = re.compile(r"(?P<kind>pp|tg)(?P<tokens>\d+)")
_SPEED = re.compile(r"(?P<mean>\d+(?:\.\d+)?)\s*±")
_OLD_BACKENDS = ("cuda", "vulkan", "kompute", "metal", "sycl")


class Unreadable(ValueError):
    """It is not what llama-bench prints, or holds nothing that was measured."""


@dataclass(frozen=True)
class BenchRecord:
    """One test.

    Attributes:
        name: `pp512` for the reading of a prompt of 512 tokens, `tg64` for the making of 64; `pp512@d4096` where a
            context of 4096 was there before.
        speeds: tokens per second of each repetition, or the mean of all where nothing else is told.
        backends: what it computed on, in its own words, such as `CUDA`; empty where it does not say.
        gpu: the GPU's name; empty where there is none.
        facts: all that it says, by its own keys.
    """

    name: str
    speeds: tuple[float, ...]
    backends: str
    gpu: str
    facts: Mapping[str, object]


def parse_bench(text: str, form: str) -> tuple[BenchRecord, ...]:
    """Read what llama-bench printed on standard output.

    Args:
        form: one of FORMS.

    Raises:
        Unreadable: it is none of that form, or a test of it measured nothing.
    """
    rows = {"jsonl": _lines, "json": _array, "csv": _table, "md": _markdown}[form](text)
    records = tuple(_record(row) for row in rows)
    if not records:
        raise Unreadable("it names no test")
    return records


def _lines(text: str) -> list[Mapping[str, Any]]:
    return [_object(line) for line in text.splitlines() if line.startswith("{")]


def _array(text: str) -> list[Mapping[str, Any]]:
    start, end = text.find("["), text.rfind("]")
    return [_checked(row) for row in _list(_loaded(text[start : end + 1]))] if 0 <= start < end else []


def _table(text: str) -> list[Mapping[str, Any]]:
    lines = text.splitlines()
    head = next((number for number, line in enumerate(lines) if "n_prompt" in line and "avg_ts" in line), len(lines))
    return list(csv.DictReader(line for line in lines[head:] if "," in line))


def _markdown(text: str) -> list[Mapping[str, Any]]:
    rows = [[cell.strip() for cell in line.strip("| \n").split("|")] for line in text.splitlines() if "|" in line]
    heads = [number for number, row in enumerate(rows) if "t/s" in row and "test" in row]
    if not heads:
        return []
    head = rows[heads[0]]
    body = (row for row in rows[heads[0] + 1 :] if len(row) == len(head) and not set(row[0]) <= set("-: "))
    return [_told_by_markdown(dict(zip(head, row, strict=True))) for row in body]


def _told_by_markdown(row: Mapping[str, str]) -> Mapping[str, Any]:
    test, _, depth = row["test"].partition("@")
    found, speed = _TEST.fullmatch(test.strip()), _SPEED.match(row["t/s"])
    if not found or not speed:
        raise Unreadable(f"it has a test {row['test']!r} with a speed {row['t/s']!r}")
    counts = {"n_prompt": found["tokens"] if found["kind"] == "pp" else 0}
    counts["n_gen"] = found["tokens"] if found["kind"] == "tg" else 0
    further = {"n_depth": depth.strip().lstrip("d") or 0, "backends": row.get("backend", ""), "avg_ts": speed["mean"]}
    return {**row, **counts, **further}


def _record(row: Mapping[str, Any]) -> BenchRecord:
    try:
        prompt, made, depth = (int(row.get(key) or 0) for key in ("n_prompt", "n_gen", "n_depth"))
        speeds = tuple(float(one) for one in row.get("samples_ts") or [row["avg_ts"]])
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable("a test does not say how fast it was") from error
    parts = [f"pp{prompt}"] * bool(prompt) + [f"tg{made}"] * bool(made)
    name = "+".join(parts) + (f"@d{depth}" if depth else "")
    if not parts or not all(math.isfinite(one) and one > 0 for one in speeds):
        raise Unreadable(f"the test {name or 'without a name'} measured nothing")
    return BenchRecord(name, speeds, _backends(row), str(row.get("gpu_info") or ""), dict(row))


def _backends(row: Mapping[str, Any]) -> str:
    """Up to the autumn of 2024 each backend has a field of its own that says whether it is built in."""
    if named := row.get("backends"):
        return str(named)
    return ",".join(name.upper() for name in _OLD_BACKENDS if row.get(name) in (True, "1", 1))


def _object(text: str) -> Mapping[str, Any]:
    return _checked(_loaded(text))


def _loaded(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise Unreadable(f"it is no JSON: {error}") from error


def _list(found: object) -> Iterable[object]:
    if isinstance(found, list):
        return found
    raise Unreadable("it is no list of tests")


def _checked(found: object) -> Mapping[str, Any]:
    if isinstance(found, dict):
        return found
    raise Unreadable("a test is no table of figures")
