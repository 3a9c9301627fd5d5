"""`builder patches check` and `explain` as a person runs them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from builder.errors import ExitCode
from tests.integration.conftest import builder
from tests.integration.patches.test_patched_trees import MODEL, SERVER, add_patch, edited
from tests.integration.upstreams import Upstream, small_upstream


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return small_upstream(tmp_path)


@pytest.fixture
def site(tmp_path: Path, upstream: Upstream) -> Path:
    """A folder with a builder.toml and a queue beside it."""
    folder = tmp_path / "site"
    (folder / "patches").mkdir(parents=True)
    (folder / "builder.toml").write_text(
        f'[upstream]\norigin = "{upstream.folder}"\nref = "b300"\n[version]\nminimum = "200"\n'
    )
    return folder


def patches(site: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command.

    Args:
        variables: settings, such as `patches_folder`.
    """
    settings = {f"BUILDER_{name.upper()}": value for name, value in variables.items()}
    env = {**os.environ, "BUILDER_CACHE": str(site.parent / "cache"), "COLUMNS": "80", **settings}
    return builder("patches", *arguments, cwd=site, env=env)


def test_row_for_every_patch_and_exit_status_4(site: Path, upstream: Upstream) -> None:
    queue = site / "patches"
    add_patch(queue, upstream, "0001-stale.patch", {MODEL: edited(upstream, MODEL, 20, b" // mine")})
    add_patch(queue, upstream, "0002-good.patch", {SERVER: edited(upstream, SERVER, 10, b" // local")})
    assert patches(site, "check").returncode == ExitCode.DONE
    upstream.commit({MODEL: edited(upstream, MODEL, 20, b" // theirs")}, tags=("b301",))
    done = patches(site, "check", "--ref", "b301")
    assert done.returncode == ExitCode.SOURCE
    rows = [line.split()[:2] for line in done.stdout.splitlines()[1:]]
    assert rows[0] == ["0001-stale", "conflict"]
    assert ["0002-good", "clean"] in rows
    assert "2 patches on b301: 1 conflict, 1 clean." in done.stderr
    assert max(len(line) for line in done.stdout.splitlines()) <= 80


def test_canary_looks_at_the_tip_and_changes_nothing(site: Path, upstream: Upstream) -> None:
    add_patch(site / "patches", upstream, "0001-stale.patch", {MODEL: edited(upstream, MODEL, 20, b" // mine")})
    before = {file.name: file.read_bytes() for file in (site / "patches").iterdir()}
    upstream.commit({MODEL: edited(upstream, MODEL, 20, b" // theirs")})
    assert patches(site, "check").returncode == ExitCode.DONE
    done = patches(site, "check", "--ref", "tip", "--json")
    assert done.returncode == ExitCode.SOURCE
    document = json.loads(done.stdout)
    assert document["schema_version"] == 1
    assert document["applies"] is False
    assert document["revision"]["build_number"] == 301
    assert document["patches"][0]["conflicts"] == [
        {"path": MODEL, "hunks": [1], "total": 1, "reason": "the lines it changes are others"}
    ]
    assert {file.name: file.read_bytes() for file in (site / "patches").iterdir()} == before


def test_explanation_names_the_commit_that_is_the_reason(site: Path, upstream: Upstream) -> None:
    add_patch(site / "patches", upstream, "0001-stale.patch", {MODEL: edited(upstream, MODEL, 20, b" // mine")})
    upstream.commit({MODEL: edited(upstream, MODEL, 20, b" // theirs")}, "llama : theirs (#20301)", tags=("b301",))
    done = patches(site, "explain", "patches/0001-stale.patch", "--ref", "b301")
    assert done.returncode == ExitCode.DONE, done.stderr
    assert "on b301: conflict" in done.stdout
    assert " // theirs" in done.stdout
    assert "b301  llama : theirs (#20301)" in done.stdout
    document = json.loads(patches(site, "explain", "0001", "--ref", "b301", "--json").stdout)
    walks = [log.read_text().count(" --full-history ") for log in (site.parent / "cache").rglob("commands.sh")]
    assert walks == [1, 1]
    assert document["histories"][0]["total"] == 1
    assert document["misfits"][0]["hunk"] == 1


def test_explanation_says_where_upstream_moved_a_file(site: Path, upstream: Upstream) -> None:
    add_patch(site / "patches", upstream, "0001-moved.patch", {SERVER: edited(upstream, SERVER, 10, b" // local")})
    text = upstream.read(SERVER)
    upstream.commit({SERVER: None, "tools/serve/main.cpp": text}, "server : move (#20301)", tags=("b301",))
    done = patches(site, "explain", "0001-moved", "--ref", "b301")
    assert "on b301: fuzzy, by three-way merge" in done.stdout
    assert "upstream moved it to" in done.stdout
    assert "tools/serve/main.cpp" in done.stdout.replace("\n", "")


@pytest.mark.parametrize(
    ("series", "files", "cause"),
    [
        ("0001-none.patch\n", {}, "names 0001-none.patch, which is not there"),
        ("a.patch\nb.patch\na.patch\n", {"a.patch": "", "b.patch": ""}, "names a.patch twice, on lines 1 and 3"),
        ("a.patch\n", {"a.patch": "<html>Not found</html>\n"}, "a.patch holds no change"),
        ("../a.patch\n", {}, "is no file beside it"),
    ],
)
def test_queue_that_is_not_in_order(site: Path, series: str, files: dict[str, str], cause: str) -> None:
    (site / "patches" / "series").write_text(series)
    for name, text in files.items():
        (site / "patches" / name).write_text(text)
    done = patches(site, "check", "--json")
    assert done.returncode == ExitCode.SOURCE
    assert cause in json.loads(done.stdout)["error"]["cause"]
    assert "Traceback" not in done.stderr


def test_no_queue_at_all(site: Path, tmp_path: Path) -> None:
    done = patches(site, "check")
    assert done.returncode == ExitCode.DONE
    assert "There are no patches in" in done.stderr
    with (site / "builder.toml").open("a") as configuration:
        configuration.write('[patches]\nfolder = "patches"\n')
    assert patches(site, "check").returncode == ExitCode.DONE
    for folder in ("elsewhere", "patches"):
        assert patches(site, "check", "--patches", folder).returncode == ExitCode.SOURCE
    assert patches(site, "check", patches_folder="patches").returncode == ExitCode.SOURCE
    (tmp_path / "bare").mkdir()
    assert patches(tmp_path / "bare", "check").returncode == ExitCode.USAGE


def test_patch_that_is_not_in_the_queue(site: Path, upstream: Upstream) -> None:
    add_patch(site / "patches", upstream, "0001-one.patch", {MODEL: edited(upstream, MODEL, 20, b" // mine")})
    done = patches(site, "explain", "0002-one")
    assert done.returncode == ExitCode.SOURCE
    assert "0001-one.patch" in done.stderr


def test_words_of_others_do_not_steer_the_terminal(site: Path, upstream: Upstream) -> None:
    upstream.commit({"\x1b[2Jodd": b"1\n2\n3\n"}, "begin")
    changes: dict[str, bytes | None] = {"\x1b[2Jodd": b"1\n2\nmine\n", MODEL: edited(upstream, MODEL, 20, b" // mine")}
    add_patch(site / "patches", upstream, "0001-odd.patch", changes)
    file = site / "patches" / "0001-odd.patch"
    file.write_text(file.read_text().replace("Subject: [PATCH]", "Subject: [PATCH] \x1b]0;mine\x07\x9b1m"))
    theirs = {"\x1b[2Jodd": b"1\n2\ntheirs\n", MODEL: edited(upstream, MODEL, 20, b" // \x1b[31mtheirs")}
    upstream.commit(theirs, "llama : \x1b[8mtheirs", tags=("b302",))
    for words in (("check",), ("explain", "0001"), ("refresh",)):
        done = patches(site, *words, "--ref", "b302")
        assert "odd" in done.stdout
        assert not {"\x1b", "\x07", "\x9b"} & {*done.stdout, *done.stderr}
    document = json.loads(patches(site, "explain", "0001", "--ref", "b302", "--json").stdout)
    assert document["histories"][0]["commits"][0]["subject"] == "llama : \x1b[8mtheirs"
