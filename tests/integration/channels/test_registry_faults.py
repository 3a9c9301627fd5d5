"""A registry behind something that drops, refuses, cuts and lies: nothing wrong is ever believed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.channels.registry.client import Registry
from builder.channels.registry.faults import RegistryError, RegistryForbids, RegistryLies, RegistrySilent
from builder.channels.registry.manifest import OCI_INDEX, Manifest
from builder.channels.registry.reference import Reference
from builder.channels.registry.transport import Patience
from tests.integration.channels.faulty_proxy import (
    Change,
    Fault,
    Proxy,
    cut,
    drop,
    exchange,
    faulty,
    refuse,
    say,
    shorten,
)
from tests.integration.channels.registry_labs import Lab, asking, image_in, index_of, registry

OTHER = f"sha256:{'0' * 64}"


@dataclass(frozen=True)
class Scene:
    """A registry seen directly and through a proxy, with one image under `latest` and another one for it."""

    direct: Registry
    through: Registry
    proxy: Proxy
    latest: Reference
    old: Manifest
    new: Manifest

    @property
    def named(self) -> str | None:
        """The digest that the tag really has."""
        found = self.direct.find(self.latest)
        return found.digest if found else None


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def scene(lab: Lab, tmp_path: Path) -> Iterator[Scene]:
    with (
        faulty(lab.host) as proxy,
        asking(lab.host, tmp_path) as (direct, reference),
        asking(proxy.host, tmp_path) as (through, _),
    ):
        latest = Reference(reference.host, f"t{os.urandom(6).hex()}", "latest")
        old, new = (image_in(lab, latest.repository, seed) for seed in ("old", "new"))
        direct.put(latest, old)
        direct.put(latest.tagged("candidate"), new)
        yield Scene(direct, through, proxy, latest, old, new)


@pytest.mark.parametrize(
    "change",
    [drop, cut, refuse(500), refuse(502), refuse(503), refuse(429, Retry_After="1"), refuse(429)],
    ids=["drop", "cut", "500", "502", "503", "429 with a time", "429"],
)
@pytest.mark.parametrize("before", [True, False], ids=["unheard", "heard"])
def test_what_time_heals_is_tried_again(scene: Scene, change: Change, before: bool) -> None:
    scene.proxy.faults = [
        Fault("^GET .*manifests", change, times=2, before=before),
        Fault("^PUT", change, times=2, before=before),
        Fault("^HEAD .*blobs", drop, times=2, before=before),
    ]
    assert scene.through.find(scene.latest) == scene.old
    assert scene.through.missing(scene.latest, scene.new) == ()
    scene.through.put(scene.latest, scene.new)
    assert scene.named == scene.new.digest
    assert sum(seen.startswith("PUT") for seen in scene.proxy.seen) == 3


def test_a_registry_that_says_when_is_asked_then_and_not_before(scene: Scene) -> None:
    scene.proxy.faults = [Fault("^GET", refuse(429, Retry_After="1"), times=1)]
    begun = time.monotonic()
    assert scene.through.find(scene.latest) == scene.old
    assert 1.0 <= time.monotonic() - begun < 30.0


def test_a_registry_that_says_next_year_is_asked_again_in_time(scene: Scene) -> None:
    scene.proxy.faults = [Fault("^GET", refuse(503, Retry_After="31536000"), times=1)]
    begun = time.monotonic()
    assert scene.through.find(scene.latest) == scene.old
    assert time.monotonic() - begun < 30.0


@pytest.mark.parametrize("change", [drop, cut, refuse(500), refuse(429)], ids=["drop", "cut", "500", "429"])
def test_what_does_not_heal_ends_in_silence_with_the_tag_as_it_was(scene: Scene, change: Change) -> None:
    scene.proxy.faults = [Fault(".", change)]
    for attempt in (
        lambda: scene.through.find(scene.latest),
        lambda: scene.through.put(scene.latest, scene.new),
        lambda: scene.through.tags(scene.latest),
        lambda: scene.through.delete(scene.latest.pinned(scene.old.digest)),
    ):
        with pytest.raises(RegistrySilent):
            attempt()
    assert scene.named == scene.old.digest


def test_a_put_that_arrived_and_was_never_answered_is_said_to_be_unknown(scene: Scene) -> None:
    scene.proxy.faults = [Fault("^PUT", drop, before=False)]
    with pytest.raises(RegistrySilent):
        scene.through.put(scene.latest, scene.new)
    assert scene.named == scene.new.digest


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (say(Docker_Content_Digest=OTHER), "has the digest"),
        (shorten, "not JSON|has the digest"),
        (say(Content_Type="text/html"), "no manifest's"),
        (say(Content_Type=OCI_INDEX), "calls itself"),
        (say(Content_Type=""), "no manifest's"),
        (exchange(b"<html>", Content_Type="text/html"), "no manifest's"),
        (refuse(404), "not as a registry does"),
        (refuse(204), "204"),
    ],
    ids=["digest", "half", "type", "index", "untyped", "page", "404", "204"],
)
def test_an_answer_that_is_not_what_it_says_is_no_answer(scene: Scene, change: Change, match: str) -> None:
    scene.proxy.faults = [Fault("^GET .*manifests", change, before=False)]
    for name in (scene.latest, scene.latest.pinned(scene.old.digest)):
        with pytest.raises(RegistryLies, match=match):
            scene.through.find(name)


def test_another_image_in_place_of_a_digest_is_found_out(scene: Scene) -> None:
    told = {"Docker_Content_Digest": scene.new.digest}
    for headers in ({}, told):
        scene.proxy.faults = [Fault("^GET .*manifests", exchange(scene.new.content, **headers), before=False)]
        with pytest.raises(RegistryLies, match="has the digest"):
            scene.through.find(scene.latest.pinned(scene.old.digest))


def test_a_put_that_a_registry_only_pretends_to_take_is_found_out(scene: Scene) -> None:
    scene.proxy.faults = [Fault("^PUT", refuse(201))]
    with pytest.raises(RegistryLies, match=f"names {scene.old.digest} after {scene.new.digest}"):
        scene.through.put(scene.latest, scene.new)
    assert scene.named == scene.old.digest


def test_a_put_that_is_answered_with_another_digest_is_found_out(scene: Scene) -> None:
    scene.proxy.faults = [Fault("^PUT", say(Docker_Content_Digest=OTHER), before=False)]
    with pytest.raises(RegistryLies, match=OTHER):
        scene.through.put(scene.latest, scene.new)


def test_a_forgotten_blob_and_one_that_is_another_are_found_out(scene: Scene) -> None:
    lost = scene.new.blobs[1]
    scene.proxy.faults = [Fault(f"^HEAD .*{lost}", refuse(404))]
    assert scene.through.missing(scene.latest, scene.new) == (lost,)
    assert scene.through.missing(scene.latest, index_of(scene.old, scene.new)) == (lost,)
    scene.proxy.faults = [Fault(f"^HEAD .*{lost}", say(Docker_Content_Digest=OTHER), before=False)]
    with pytest.raises(RegistryLies, match=OTHER):
        scene.through.missing(scene.latest, scene.new)


def test_a_registry_that_says_no_is_asked_once(scene: Scene) -> None:
    for status, kind in ((401, RegistryForbids), (403, RegistryForbids), (405, RegistryError)):
        scene.proxy.faults = [Fault("^PUT", refuse(status))]
        scene.proxy.seen.clear()
        with pytest.raises(kind, match=str(status)):
            scene.through.put(scene.latest, scene.new)
        assert len(scene.proxy.seen) == 1
    assert scene.named == scene.old.digest


def test_nobody_is_followed_to_where_all_is_in_the_clear(scene: Scene) -> None:
    scene.proxy.faults = [Fault("^GET", refuse(307, Location="http://registry.invalid/v2/x"))]
    with pytest.raises(RegistryForbids, match=r"registry\.invalid would be spoken to in the clear"):
        scene.through.find(scene.latest)


def test_being_sent_in_a_circle_ends(scene: Scene) -> None:
    scene.proxy.faults = [Fault("^GET", refuse(307, Location=f"/v2/{scene.latest.repository}/manifests/latest"))]
    with pytest.raises(RegistryLies, match="cannot be read"):
        scene.through.find(scene.latest)


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"tags": "latest"}', b'{"tags": [1]}', b"\xff"])
def test_a_list_of_tags_that_is_none_is_refused(scene: Scene, body: bytes) -> None:
    scene.proxy.faults = [Fault("^GET .*tags", exchange(body), before=False)]
    with pytest.raises(RegistryLies, match="no list of tags"):
        scene.through.tags(scene.latest)


def test_a_list_of_tags_goes_on_where_the_registry_says_and_nowhere_else(scene: Scene) -> None:
    page = f'</v2/{scene.latest.repository}/tags/list?n=1&last=a>; rel="next"'
    scene.proxy.faults = [Fault("^GET .*tags", say(Link=page), times=1, before=False)]
    assert set(scene.through.tags(scene.latest)) == {"latest", "candidate"}
    scene.proxy.faults = [Fault("^GET .*tags", say(Link='<http://localhost:1/x>; rel="next"'), before=False)]
    with pytest.raises(RegistryLies, match="sends us on to localhost"):
        scene.through.tags(scene.latest)


def test_an_answer_without_end_is_left(scene: Scene) -> None:
    scene.proxy.faults = [Fault("^GET .*manifests", exchange(b"x" * (17 << 20)), before=False)]
    with pytest.raises(RegistryLies, match="more than 16 MiB"):
        scene.through.find(scene.latest)


def test_an_answer_that_drips_is_left_in_time(lab: Lab, tmp_path: Path) -> None:
    def drip(answer: object) -> object:
        time.sleep(1.5)
        return answer

    with faulty(lab.host) as proxy:
        hasty = Patience(answer=0.5, connect=1, tries=1, pause=0.01, longest=0.1)
        with asking(proxy.host, tmp_path, patience=hasty) as (asked, latest):
            proxy.faults = [Fault("^GET .*manifests", drip, before=False)]  # type: ignore[arg-type]
            with pytest.raises(RegistrySilent, match="in time"):
                asked.find(latest)
