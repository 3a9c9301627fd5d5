"""What is left of a container where the engine is slow to remove it; the engine's client is a script."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.engine.throwaway import RunEnded, Throwaway
from builder.process import Runner

_SLOW_ONCE = """#!/bin/sh
echo "$1" >> "{calls}"
if [ "$1" = rm ]; then
    [ "$(grep -c ^rm "{calls}")" = 1 ] && sleep 5
    echo "$4"
fi
"""


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    return tmp_path / "calls"


@pytest.fixture
def slow(tmp_path: Path, calls: Path) -> Throwaway:
    """An engine that does not remove a container in time when it is asked for the first time."""
    client = tmp_path / "client"
    client.write_text(_SLOW_ONCE.format(calls=calls))
    client.chmod(0o755)
    return Throwaway(Runner(grace=0.1), [str(client)], clean_up=0.3)


def test_a_slow_removal_is_tried_again_and_hides_no_error(slow: Throwaway, calls: Path) -> None:
    with (
        pytest.raises(KeyError, match="what went wrong"),
        slow.hold("image", [], options=(), timeout=5, run_id="20260101T000000-1"),
    ):
        raise KeyError("what went wrong")
    assert calls.read_text().split() == ["run", "rm", "rm"]


def test_a_slow_end_of_all_is_no_error_and_is_tried_again(slow: Throwaway, calls: Path) -> None:
    held = slow.hold("image", [], options=(), timeout=5, run_id="20260101T000000-1")
    with pytest.raises(RunEnded), held:
        slow.end_all()
    assert calls.read_text().split() == ["run", "rm", "rm"]


_SHOWS_ITSELF = """#!/bin/sh
tr '\\0' ' ' < /proc/$$/cmdline > "{words}"
echo "$HF_TOKEN/$PLAIN"
"""


@pytest.mark.parametrize("detached", [False, True])
def test_what_secret_variables_hold_is_not_among_the_words_that_everybody_sees(tmp_path: Path, detached: bool) -> None:
    client, words = tmp_path / "client", tmp_path / "words"
    client.write_text(_SHOWS_ITSELF.format(words=words))
    client.chmod(0o755)
    engine = Throwaway(Runner(grace=0.1), [str(client)], clean_up=0.3)
    options = ("--env", "HF_TOKEN=hush=4711", "--env", "PLAIN=1", "--label", "A_KEY=seen")
    if detached:
        with engine.hold("image", ["HF_TOKEN=word"], options=options, timeout=60, run_id="r") as (_, done):
            seen = words.read_text()
    else:
        done = engine.run("image", ["HF_TOKEN=word"], options=options, timeout=60, run_id="r")
        seen = words.read_text()
    assert done.stdout == "hush=4711/\n"
    assert "hush" not in seen
    assert "--env HF_TOKEN --env PLAIN=1 --label A_KEY=seen -- image HF_TOKEN=word" in seen
