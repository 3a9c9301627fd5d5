"""What is said of an image's files against the list that the build put beside them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.engine.images import Image
from builder.gates.structure.configuration import check_configuration
from builder.gates.structure.examined import Examined
from builder.gates.structure.files import File, FileKind, Files
from builder.gates.structure.layers import Layers
from builder.gates.structure.reading import read_archive
from builder.gates.structure.shipped import LIST, check_shipped
from builder.gates.verdict import Check, Outcome
from builder.plan.marks import FOLDER

BACKEND = f"{FOLDER}/libggml-cpu-x64.so"
HEALTH = "/usr/local/bin/llama-health"
CONTENTS = {BACKEND: b"backend", HEALTH: b"#!/bin/sh\n"}


def sums(contents: Mapping[str, bytes]) -> bytes:
    return "".join(f"{sha256(content).hexdigest()}  {path}\n" for path, content in sorted(contents.items())).encode()


def archived(contents: Mapping[str, bytes]) -> Files:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for folder in ("usr", "usr/local", "usr/local/bin", "opt", FOLDER.strip("/")):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        for path, content in contents.items():
            info = tarfile.TarInfo(path.strip("/"))
            info.mode, info.size = 0o755, len(content)
            tar.addfile(info, io.BytesIO(content))
    out.seek(0)
    return read_archive(out)


def image_of(files: Files, config: Mapping[str, object] | None = None) -> Examined:
    return Examined(
        Image("sha256:0", (), (), 1, {}, (), "10001:10001", "amd64"),
        config or {},
        (),
        files,
        lambda: None,
        lambda: Layers(1, 0, ()),
    )


def checks_of(files: Files) -> Mapping[str, Check]:
    return {check.name: check for check in check_shipped(image_of(files))}


def shipped(contents: Mapping[str, bytes], made: Mapping[str, bytes] = CONTENTS) -> Check:
    return checks_of(archived({**contents, LIST: sums(made)}))["shipped"]


def with_entry(path: str, **changes: object) -> Files:
    files = archived({**CONTENTS, LIST: sums(CONTENTS)})
    return replace(files, entries={**files.entries, path: replace(files.entries[path], **changes)})  # type: ignore[arg-type]


def test_files_as_they_were_built_pass() -> None:
    checks = checks_of(archived({**CONTENTS, LIST: sums(CONTENTS)}))
    assert {name: check.outcome for name, check in checks.items()} == dict.fromkeys(["shipped", "usable"], Outcome.PASS)
    assert "All 2 files" in checks["shipped"].detail


@given(st.binary(max_size=3000), st.sampled_from(["", "\x7fELF"]))
def test_the_digest_of_any_content_is_its_sha256(content: bytes, start: str) -> None:
    whole = start.encode() + content
    assert archived({BACKEND: whole}).digests == {BACKEND: sha256(whole).hexdigest()}


def test_content_that_is_too_long_to_be_kept_has_its_digest() -> None:
    content = bytes(5 << 20)
    assert archived({HEALTH: content}).digests == {HEALTH: sha256(content).hexdigest()}


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ({HEALTH: CONTENTS[HEALTH]}, f"missing: {BACKEND}"),
        ({**CONTENTS, BACKEND: b"Backend"}, f"changed: {BACKEND}"),
        ({**CONTENTS, HEALTH: b"#!/bin/sh\nexit 0\n"}, f"changed: {HEALTH}"),
        ({**CONTENTS, f"{FOLDER}/libggml-evil.so": b""}, f"added: {FOLDER}/libggml-evil.so"),
        ({HEALTH: b"", f"{FOLDER}/x": b""}, f"missing: {BACKEND}; changed: {HEALTH}; added: {FOLDER}/x"),
    ],
)
def test_what_is_not_as_it_was_built_is_named(contents: Mapping[str, bytes], words: str) -> None:
    check = shipped(contents)
    assert check.outcome is Outcome.FAIL
    assert f" {words}. " in check.detail
    assert "Build it again with `builder build`" in check.detail


def test_a_link_in_a_files_place_is_not_that_file() -> None:
    files = with_entry(BACKEND, kind=FileKind.LINK, target="/srv/x.so")
    assert f"no regular file: {BACKEND}" in checks_of(files)["shipped"].detail


def test_a_link_that_was_added_is_named() -> None:
    files = archived({**CONTENTS, LIST: sums(CONTENTS)})
    link = File(f"{FOLDER}/libggml-evil.so", FileKind.LINK, 0o777, 0, 0, 0, "/srv/evil.so")
    found = checks_of(replace(files, entries={**files.entries, link.path: link}))
    assert f"added: {link.path}" in found["shipped"].detail


def test_without_the_list_nothing_can_be_judged() -> None:
    found = checks_of(archived(CONTENTS))
    assert {name: check.outcome for name, check in found.items()} == {"shipped": Outcome.UNJUDGED}


@pytest.mark.parametrize(
    "text", [b"", b"\n", b"hello\n", b"abc  /opt/llama.cpp/x\n", sums({"/etc/passwd": b""}), sums(CONTENTS) + b"\n"]
)
def test_a_list_that_is_none_fails(text: bytes) -> None:
    check = checks_of(archived({**CONTENTS, LIST: text}))["shipped"]
    assert check.outcome is Outcome.FAIL
    assert "not a list of digests" in check.detail


@pytest.mark.parametrize(
    ("path", "mode", "words"),
    [
        (BACKEND, 0o000, f"may not read {BACKEND}"),
        (BACKEND, 0o750, f"may not read {BACKEND}"),
        (LIST, 0o600, f"may not read {LIST}"),
        (HEALTH, 0o644, f"may not execute {HEALTH}"),
        (FOLDER, 0o711, f"may not read {FOLDER}"),
        (FOLDER, 0o744, f"may not enter {FOLDER}"),
        ("/usr/local/bin", 0o700, "may not enter /usr/local/bin"),
    ],
)
def test_what_the_servers_user_may_not_use_is_named(path: str, mode: int, words: str) -> None:
    check = checks_of(with_entry(path, mode=mode))["usable"]
    assert check.outcome is Outcome.FAIL
    assert words in check.detail


@pytest.mark.parametrize(("owner", "group", "mode"), [(10001, 0, 0o400), (0, 10001, 0o040), (0, 0, 0o004)])
def test_rights_count_for_who_the_server_is(owner: int, group: int, mode: int) -> None:
    entry = {"owner": owner, "group": group}
    assert checks_of(with_entry(BACKEND, **entry, mode=mode))["usable"].outcome is Outcome.PASS
    assert checks_of(with_entry(BACKEND, **entry, mode=0o444 ^ mode))["usable"].outcome is Outcome.FAIL


def configured(**config: object) -> Mapping[str, Check]:
    return {check.name: check for check in check_configuration(image_of(Files({}), config))}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"Volumes": {FOLDER: {}}}, f"volume {FOLDER}"),
        ({"OnBuild": ["USER root"]}, "ONBUILD USER."),
        ({"ExposedPorts": {"8080/tcp": {}, "22/tcp": {}}}, "port 22/tcp"),
        ({"ExposedPorts": None}, "exposes no port"),
    ],
)
def test_what_an_image_declares_besides_is_named(config: Mapping[str, object], words: str) -> None:
    check = configured(**{"ExposedPorts": {"8080/tcp": {}}, **config})["extras"]
    assert check.outcome is Outcome.FAIL
    assert words in check.detail


def test_the_servers_port_alone_passes() -> None:
    assert configured(ExposedPorts={"8080/tcp": {}}, Volumes=None)["extras"].outcome is Outcome.PASS
