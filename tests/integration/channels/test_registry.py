"""A real registry: tags move without a byte changing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from builder.channels.registry.client import Registry
from builder.channels.registry.faults import RegistryError, RegistryForbids, RegistrySilent
from builder.channels.registry.manifest import DOCKER_MANIFEST
from builder.channels.registry.reference import Reference
from builder.channels.registry.transport import Trust
from builder.engine.client import Engine
from builder.process import Runner
from tests.integration.channels.faulty_proxy import faulty
from tests.integration.channels.registry_labs import (
    PASSWORD,
    USER,
    Lab,
    asking,
    docker_config,
    image_in,
    index_of,
    login,
    make_tls,
    registry,
    with_password,
)
from tests.integration.engines import import_shell
from tests.ports import free_port


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def opened(lab: Lab, tmp_path: Path) -> Iterator[tuple[Registry, Reference]]:
    with asking(lab.host, tmp_path) as (asked, reference):
        yield asked, Reference(reference.host, f"t{os.urandom(6).hex()}", "latest")


def raw(lab: Lab, reference: Reference, name: str, media_type: str) -> bytes:
    """What anybody else gets from the registry."""
    url = f"{lab.address}/v2/{reference.repository}/manifests/{name}"
    return httpx.get(url, headers={"Accept": media_type}, trust_env=False).raise_for_status().content


def test_a_tag_names_the_very_bytes_that_were_put_there(lab: Lab, opened: tuple[Registry, Reference]) -> None:
    registry, latest = opened
    manifest = image_in(lab, latest.repository, "one")
    assert registry.find(latest) is None
    registry.put(latest, manifest)
    assert registry.find(latest) == manifest
    assert registry.find(latest.pinned(manifest.digest)) == manifest
    assert raw(lab, latest, "latest", manifest.media_type) == manifest.content


def test_moving_a_tag_keeps_the_digest_of_single_manifests_and_indexes(
    lab: Lab, opened: tuple[Registry, Reference]
) -> None:
    registry, latest = opened
    one, two = (image_in(lab, latest.repository, seed) for seed in ("one", "two"))
    for part in (one, two):
        registry.put(latest.tagged(f"b-{part.digest[7:15]}"), part)
    index = index_of(one, two)
    for number, manifest in enumerate((one, index, two, index)):
        registry.put(latest, manifest)
        moved = registry.find(latest)
        assert moved is not None
        assert (moved.digest, moved.content, moved.media_type) == (
            manifest.digest,
            manifest.content,
            manifest.media_type,
        )
        registry.put(latest.tagged(f"n{number}"), moved)
        assert raw(lab, latest, f"n{number}", manifest.media_type) == manifest.content


def test_what_a_manifest_needs_is_looked_for_in_indexes_too(lab: Lab, opened: tuple[Registry, Reference]) -> None:
    registry, latest = opened
    one, two = (image_in(lab, latest.repository, seed) for seed in ("one", "two"))
    elsewhere = image_in(lab, "elsewhere", f"three {latest.repository}")
    registry.put(latest, one)
    assert registry.missing(latest, one) == ()
    assert registry.missing(latest, index_of(one)) == ()
    assert registry.missing(latest, index_of(one, two)) == (two.digest,)
    assert registry.missing(latest, elsewhere) == elsewhere.blobs


def test_a_blob_that_was_deleted_is_missed(lab: Lab, opened: tuple[Registry, Reference]) -> None:
    registry, latest = opened
    manifest = image_in(lab, latest.repository, "lost")
    registry.put(latest, manifest)
    gone = manifest.blobs[1]
    deleted = httpx.delete(f"{lab.address}/v2/{latest.repository}/blobs/{gone}", trust_env=False)
    assert deleted.status_code == 202
    assert registry.missing(latest, manifest) == (gone,)


def test_tags_are_listed_and_a_deleted_manifest_is_gone(lab: Lab, opened: tuple[Registry, Reference]) -> None:
    registry, latest = opened
    assert registry.tags(latest) == ()
    manifest = image_in(lab, latest.repository, "one")
    for tag in ("latest", "previous", "b1"):
        registry.put(latest.tagged(tag), manifest)
    assert sorted(registry.tags(latest)) == ["b1", "latest", "previous"]
    assert registry.delete(latest.pinned(manifest.digest)) is True
    assert registry.delete(latest.pinned(manifest.digest)) is False
    assert registry.find(latest) is None


def test_an_image_that_the_engine_pushed_is_retagged_and_pulled_again_as_the_same(
    lab: Lab, opened: tuple[Registry, Reference], engine: Engine, runner: Runner, tmp_path: Path
) -> None:
    registry, latest = opened
    candidate = str(latest.tagged("candidate"))
    import_shell(runner, engine, tmp_path, candidate, {"/bin/hello": "#!/bin/sh\necho hello\n"})
    try:
        pushed = engine.ask("push", "--quiet", candidate, timeout=120)
        assert pushed.returncode == 0, pushed.stderr
        before = engine.image(candidate)
        manifest = registry.find(latest.tagged("candidate"))
        assert before is not None
        assert manifest is not None
        assert manifest.media_type == DOCKER_MANIFEST or manifest.media_type.startswith("application/vnd.oci.")
        assert f"{lab.host}/{latest.repository}@{manifest.digest}" in before.repo_digests
        registry.put(latest, manifest)
        engine.remove_image(candidate)
        assert engine.pull(f"{latest}", timeout=120).returncode == 0
        after = engine.image(str(latest))
        assert after is not None
        assert (after.id, after.layers) == (before.id, before.layers)
        assert f"{lab.host}/{latest.repository}@{manifest.digest}" in after.repo_digests
    finally:
        for name in (candidate, str(latest)):
            engine.remove_image(name)


def test_a_push_to_a_registry_with_a_password_needs_the_right_one(tmp_path: Path) -> None:
    with registry(tmp_path, auth=with_password(tmp_path)) as lab:
        manifest = image_in(lab, "some/llama", "one", (USER, PASSWORD))
        with asking(lab.host, docker_config(tmp_path / "right", auths=login(lab.host))) as (right, latest):
            right.put(latest, manifest)
            assert right.find(latest) == manifest
            assert right.missing(latest, manifest) == ()
        for config in ({}, {"auths": login(lab.host, password="wrong")}):
            with asking(lab.host, docker_config(tmp_path / "wrong", **config)) as (wrong, latest):
                with pytest.raises(RegistryForbids, match="401") as caught:
                    wrong.find(latest)
                assert f"docker login {lab.host}" in caught.value.remedy
                assert "wrong" not in str(caught.value.document())


def test_a_registry_is_believed_only_with_a_certificate_of_who_is_trusted(
    tmp_path: Path, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = make_tls(tmp_path / "tls", runner)
    with registry(tmp_path, tls=tls) as lab:
        manifest = image_in(lab, "some/llama", "one")
        with pytest.raises(RegistryForbids, match="does not prove who it is") as caught, asking(lab.host, tmp_path):
            pytest.fail("an unknown certificate was believed")
        assert f"certs.d/{lab.host}/ca.crt" in caught.value.remedy
        (tmp_path / "certs.d" / lab.host).mkdir(parents=True)
        (tmp_path / "certs.d" / lab.host / "ca.crt").write_bytes(tls.authority.read_bytes())
        known = Trust(certificates=(tmp_path / "certs.d",))
        with asking(lab.host, tmp_path, trust=known) as (asked, latest):
            asked.put(latest, manifest)
            assert asked.find(latest) == manifest
        with asking(lab.host, tmp_path, trust=Trust(insecure=(lab.host,), certificates=())) as (asked, latest):
            assert asked.find(latest) == manifest
        monkeypatch.setenv("SSL_CERT_FILE", str(tls.authority))
        with asking(lab.host, tmp_path) as (asked, latest):
            assert asked.find(latest) == manifest


def test_a_broken_certificate_file_is_named(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "certs.d" / lab.host).mkdir(parents=True)
    (tmp_path / "certs.d" / lab.host / "ca.crt").write_text("no certificate")
    trust = Trust(certificates=(tmp_path / "certs.d",))
    with pytest.raises(RegistryError, match=r"certs\.d.*cannot be used"), asking(lab.host, tmp_path, trust=trust):
        pytest.fail("it was read")


def test_this_machine_is_not_looked_for_behind_a_proxy(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{free_port()}")
    with asking(lab.host, tmp_path) as (asked, latest):
        assert asked.find(latest) is None


def test_a_registry_elsewhere_is_looked_for_behind_the_proxy_that_the_environment_names(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faulty(lab.host) as proxy:
        monkeypatch.setenv("https_proxy", f"http://{proxy.host}")
        monkeypatch.setenv("no_proxy", "")
        with asking("registry.invalid", tmp_path) as (asked, latest), pytest.raises(RegistrySilent):
            asked.find(latest)
        assert proxy.seen == []
        assert proxy.tunnels[0] == "registry.invalid:443"


def test_nobody_there_is_said_in_time(tmp_path: Path) -> None:
    with (
        asking(f"127.0.0.1:{free_port()}", tmp_path) as (asked, latest),
        pytest.raises(RegistrySilent, match="refused"),
    ):
        asked.find(latest)


def test_a_manifest_whose_blobs_are_nowhere_is_refused_by_the_registry(
    lab: Lab, opened: tuple[Registry, Reference]
) -> None:
    registry, latest = opened
    elsewhere = image_in(lab, "elsewhere", f"four {latest.repository}")
    with pytest.raises(RegistryError, match="MANIFEST_BLOB_UNKNOWN"):
        registry.put(latest, elsewhere)
    assert registry.find(latest) is None
