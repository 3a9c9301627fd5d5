"""Who we are, as Docker's configuration says it: a real registry behind real tokens, real helper programs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from builder.channels.registry.credentials import Credentials, find_credentials
from builder.channels.registry.faults import BadCredentials, RegistryForbids
from builder.channels.registry.manifest import Manifest
from builder.process import Runner
from tests.integration.channels.registry_labs import (
    PASSWORD,
    USER,
    asking,
    docker_config,
    image_in,
    login,
    registry,
    with_password,
)
from tests.integration.channels.token_server import IDENTITY, serve_tokens

NOT_FOUND = "credentials not found in native keychain"


def helper(folder: Path, name: str, script: str) -> None:
    """A program that keeps credentials; the host it is asked for is in `$host`."""
    folder.mkdir(exist_ok=True)
    file = folder / f"docker-credential-{name}"
    file.write_text(f'#!/bin/sh\nread -r host || true\necho "$1 $host" >> {folder}/asked\n{script}\n')
    file.chmod(0o755)


def keeps(user: str, secret: str) -> str:
    """The script of one that knows something."""
    return f"echo '{json.dumps({'ServerURL': 'x', 'Username': user, 'Secret': secret})}'"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that comes first."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def stored(tmp_path: Path) -> Manifest:
    """An image in the folder of a registry, put there while it was open."""
    with registry(tmp_path, kept=True) as lab, asking(lab.host, tmp_path / "nobody") as (asked, latest):
        manifest = image_in(lab, latest.repository, "one")
        asked.put(latest, manifest)
        return manifest


def test_tokens_are_fetched_once_for_each_right_and_never_for_the_wrong_person(tmp_path: Path, runner: Runner) -> None:
    manifest = stored(tmp_path)
    with (
        serve_tokens(tmp_path, f"{USER}:{PASSWORD}", runner) as tokens,
        registry(tmp_path, auth=tokens.setting, kept=True) as lab,
    ):
        with asking(lab.host, docker_config(tmp_path / "right", auths=login(lab.host))) as (right, latest):
            for _ in range(2):
                assert right.find(latest) == manifest
                right.put(latest.tagged("previous"), manifest)
            assert right.missing(latest, manifest) == ()
            assert sorted(right.tags(latest)) == ["latest", "previous"]
        scopes = [f"GET repository:some/llama:{rights}" for rights in ("pull", "push,pull", "pull,push")]
        assert tokens.asked[0] == scopes[0]
        assert len(tokens.asked) == 2
        assert tokens.asked[1] in scopes[1:]
        with asking(lab.host, docker_config(tmp_path / "w", auths=login(lab.host, password="wr0ng"))) as (
            wrong,
            latest,
        ):
            with pytest.raises(RegistryForbids, match="gives no token") as caught:
                wrong.find(latest)
            assert "wr0ng" not in str(caught.value.document())


def test_an_identity_token_is_exchanged_for_others(tmp_path: Path, runner: Runner, programs: Path) -> None:
    manifest = stored(tmp_path)
    helper(programs, "lab", keeps("<token>", IDENTITY))
    with serve_tokens(tmp_path, "x:y", runner) as tokens, registry(tmp_path, auth=tokens.setting, kept=True) as lab:
        in_file: dict[str, Any] = {"auths": {lab.host: {"identitytoken": IDENTITY}}}
        for number, config in enumerate((in_file, {"credsStore": "lab"})):
            with asking(lab.host, docker_config(tmp_path / f"{number}", **config)) as (asked, latest):
                assert asked.find(latest) == manifest
        assert tokens.asked == ["POST repository:some/llama:pull"] * 2


def test_a_token_that_ran_out_is_renewed(tmp_path: Path, runner: Runner) -> None:
    manifest = stored(tmp_path)
    with (
        serve_tokens(tmp_path, f"{USER}:{PASSWORD}", runner) as tokens,
        registry(tmp_path, auth=tokens.setting, kept=True) as lab,
    ):
        tokens.lifetime = -120
        with asking(lab.host, docker_config(tmp_path / "d", auths=login(lab.host))) as (asked, latest):
            with pytest.raises(RegistryForbids, match="401"):
                asked.find(latest)
            tokens.lifetime = 300
            assert asked.find(latest) == manifest


def test_helpers_come_before_the_file_and_the_one_for_the_host_before_the_one_for_all(
    tmp_path: Path, programs: Path
) -> None:
    helper(programs, "host", keeps(USER, PASSWORD))
    helper(programs, "all", keeps(USER, "wrong"))
    with registry(tmp_path, auth=with_password(tmp_path)) as lab:
        config = {"credHelpers": {lab.host: "host"}, "credsStore": "all", "auths": login(lab.host, password="wrong")}
        with asking(lab.host, docker_config(tmp_path / "d", **config)) as (asked, latest):
            assert asked.find(latest) is None
        assert (programs / "asked").read_text() == f"get {lab.host}\n"


def test_no_secret_is_part_of_what_is_recorded(tmp_path: Path, programs: Path) -> None:
    helper(programs, "lab", keeps(USER, PASSWORD))
    said: list[str] = []
    runner = Runner(tmp_path / "record", said.append)
    found = find_credentials("example.com", runner, docker_config(tmp_path / "d", credsStore="lab"))
    assert found == Credentials(USER, PASSWORD)
    seen = "".join(said) + (tmp_path / "record").read_text() + repr(found)
    assert "docker-credential-lab get" in seen
    assert PASSWORD not in seen


def test_a_helper_that_keeps_nothing_for_a_host_leaves_us_nobody(tmp_path: Path, programs: Path) -> None:
    helper(programs, "lab", f"echo '{NOT_FOUND}'; exit 1")
    assert find_credentials("example.com", Runner(), docker_config(tmp_path, credsStore="lab")) == Credentials()
    assert find_credentials("docker.io", Runner(), docker_config(tmp_path, credsStore="lab")) == Credentials()
    assert (programs / "asked").read_text() == "get example.com\nget https://index.docker.io/v1/\n"


@pytest.mark.parametrize(
    ("script", "match"),
    [
        ("echo secret-in-a-message; exit 1", "ended with 1"),
        ("echo secret-in-a-message", "not what it should be"),
        ("echo '{}'", "not what it should be"),
        ('echo \'{"Username": 1, "Secret": "secret-in-a-message"}\'', "not what it should be"),
    ],
)
def test_a_helper_that_fails_is_named_and_its_output_is_not_shown(
    tmp_path: Path, programs: Path, script: str, match: str
) -> None:
    helper(programs, "lab", script)
    with pytest.raises(BadCredentials, match=f"docker-credential-lab.*{match}") as caught:
        find_credentials("example.com", Runner(), docker_config(tmp_path, credsStore="lab"))
    assert "secret-in-a-message" not in str(caught.value.document())


def test_a_helper_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadCredentials, match=r"docker-credential-h-nowhere.*not installed"):
        find_credentials("example.com", Runner(), docker_config(tmp_path, credHelpers={"example.com": "h-nowhere"}))
