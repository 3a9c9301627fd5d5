"""Reading BuildKit's progress."""

from __future__ import annotations

import base64
import json

from hypothesis import given
from hypothesis import strategies as st

from builder.image.progress import ProgressReader


def _log(text: bytes, vertex: str = "sha256:1") -> dict[str, object]:
    return {"logs": [{"vertex": vertex, "stream": 1, "data": base64.b64encode(text).decode()}]}


def _vertex(name: str, vertex: str = "sha256:1", **more: str) -> dict[str, object]:
    return {"vertexes": [{"digest": vertex, "name": name, "started": "2026-01-01T00:00:00Z", **more}]}


def _read(*statuses: dict[str, object], indent: int | None = None) -> tuple[ProgressReader, list[str]]:
    reader = ProgressReader()
    stream = "".join(json.dumps(status, indent=indent) + "\n" for status in statuses).encode()
    lines = [line.text for line in reader.feed(stream)]
    lines += [line.text for line in reader.finish()]
    return reader, lines


def test_counter_of_the_compiler_is_the_position() -> None:
    reader, lines = _read(_vertex("[compiled 1/1] RUN ninja"), _log(b"[3/608] Building CXX object a.o\n"))
    assert lines == ["[3/608] Building CXX object a.o"]
    assert (reader.position.step, reader.position.done, reader.position.total) == ("[compiled 1/1] RUN ninja", 3, 608)


def test_objects_spread_over_lines_are_read_like_compact_ones() -> None:
    statuses = (_vertex("step"), _log(b"one\ntwo\n"))
    assert _read(*statuses, indent=2)[1] == _read(*statuses)[1] == ["one", "two"]


def test_a_line_in_pieces_is_put_together() -> None:
    assert _read(_log(b"first ha"), _log(b"lf\nrest"))[1] == ["first half", "rest"]


def test_lines_of_parallel_steps_do_not_mix() -> None:
    assert _read(_log(b"a", "1"), _log(b"b\n", "2"), _log(b"c\n", "1"))[1] == ["b", "ac"]


def test_output_need_not_be_utf8() -> None:
    assert _read(_log(b"caf\xe9\n"))[1] == ["caf\ufffd"]


def test_first_errors_are_kept_and_warnings_are_not() -> None:
    noise = b"".join(b"[%d/900] Building %d\n" % (number, number) for number in range(900))
    text = b"a.cpp:1: warning: error: not so bad [-Wsome]\na.cpp:3:1: error: no such thing\n" + noise
    reader, _ = _read(_log(text))
    assert reader.errors.lines == ("a.cpp:3:1: error: no such thing",)
    assert reader.last[-1].startswith("[899/900]")


def test_failure_of_a_step_is_kept() -> None:
    reader, _ = _read(_vertex("RUN false", error="exit code: 1"), _vertex("other", "2", error="context canceled"))
    assert reader.failures == ["exit code: 1"]


def test_plain_text_after_the_objects_is_a_line() -> None:
    reader = ProgressReader()
    assert [line.text for line in reader.feed(b'{"logs": []}\nERROR: failed to solve\n')] == ["ERROR: failed to solve"]


def test_what_buildx_itself_says_is_an_error() -> None:
    reader = ProgressReader()
    list(reader.feed(b'ERROR: no builder "foo" found\n'))
    assert reader.last[-1] == 'ERROR: no builder "foo" found'


def test_a_stray_brace_does_not_swallow_the_rest() -> None:
    reader = ProgressReader()
    stream = b"{ what is this\n" + b"".join(json.dumps(_log(b"line\n")).encode() + b"\n" for _ in range(3))
    assert [line.text for line in reader.feed(stream)] == ["{ what is this", "line", "line", "line"]


@given(st.binary(max_size=400), st.integers(1, 50))
def test_no_bytes_break_it(stream: bytes, size: int) -> None:
    reader = ProgressReader()
    for start in range(0, len(stream), size):
        list(reader.feed(stream[start : start + size]))
    list(reader.finish())


@given(st.lists(st.binary(max_size=60), max_size=20), st.integers(1, 200))
def test_chunks_do_not_matter(pieces: list[bytes], size: int) -> None:
    statuses = [_log(piece) for piece in pieces]
    stream = "".join(json.dumps(status, indent=2) + "\n" for status in statuses).encode()
    reader = ProgressReader()
    lines = []
    for start in range(0, len(stream), size):
        lines += [line.text for line in reader.feed(stream[start : start + size])]
    lines += [line.text for line in reader.finish()]
    assert lines == _read(*statuses)[1]
