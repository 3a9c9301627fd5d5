"""Credentials in the file that Docker's client writes."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.channels.registry.credentials import Credentials, docker_folder, find_credentials
from builder.channels.registry.faults import BadCredentials
from builder.process import Runner


def encoded(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


def found(folder: Path, host: str, config: Any) -> Credentials:
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config), encoding="utf-8")
    return find_credentials(host, Runner(), folder)


def test_without_a_configuration_we_are_nobody(tmp_path: Path) -> None:
    nobody = find_credentials("a.b", Runner(), tmp_path / "absent")
    assert nobody == Credentials()
    assert not nobody.are_known
    assert nobody.basic == ""


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("a.b", "a.b"),
        ("a.b:5000", "a.b:5000"),
        ("https://a.b/v1/", "a.b"),
        ("https://a.b:5000", "a.b:5000"),
        ("a.b/some/path", "a.b"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("index.docker.io", "docker.io"),
    ],
)
def test_a_registry_is_found_by_its_host(tmp_path: Path, key: str, host: str) -> None:
    auths = {"other.example": encoded("x:y"), key: encoded("me:pass:word")}
    assert found(tmp_path, host, {"auths": auths}) == Credentials("me", "pass:word")


def test_another_port_is_another_registry(tmp_path: Path) -> None:
    assert not found(tmp_path, "a.b:5001", {"auths": {"a.b:5000": encoded("me:pw"), "a.b": encoded("me:pw")}}).are_known


def test_tokens_are_kept_apart_from_passwords(tmp_path: Path) -> None:
    entry = {"auth": "", "identitytoken": "i", "registrytoken": "r"}
    assert found(tmp_path, "a.b", {"auths": {"a.b": entry}}) == Credentials(identity="i", token="r")


def test_secrets_are_not_shown() -> None:
    assert "hidden" not in repr(Credentials("me", "hidden-1", "hidden-2", "hidden-3"))


@pytest.mark.parametrize(
    "config",
    [
        "",
        "{",
        "[]",
        {"auths": []},
        {"auths": {"a.b": []}},
        {"auths": {"a.b": {"auth": 1}}},
        {"auths": {"a.b": {"auth": "secret!"}}},
        {"auths": {"a.b": encoded("secret")}},
        {"credsStore": ["x"]},
        {"credHelpers": "x"},
        {"credsStore": "../../bin/sh"},
        {"credHelpers": {"a.b": "-x"}},
        {"credHelpers": {"a.b": 1}},
    ],
)
def test_a_broken_configuration_is_named_and_no_secret_of_it(tmp_path: Path, config: Any) -> None:
    with pytest.raises(BadCredentials, match=r"config\.json") as caught:
        found(tmp_path, "a.b", config)
    assert "secret" not in str(caught.value.document())


@settings(max_examples=30)
@given(
    st.text(st.characters(exclude_characters=":\0", codec="utf-8"), min_size=1),
    st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1),
)
def test_whatever_docker_writes_is_read(tmp_path_factory: pytest.TempPathFactory, user: str, password: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    assert found(folder, "a.b", {"auths": {"a.b": encoded(f"{user}:{password}")}}) == Credentials(user, password)


def test_the_folder_is_the_one_of_dockers_client() -> None:
    assert docker_folder({"DOCKER_CONFIG": "/x"}) == Path("/x")
    assert docker_folder({}) == Path.home() / ".docker"
