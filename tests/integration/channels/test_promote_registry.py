"""`builder promote` and `builder rollback` with a registry."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.channels.registry.manifest import Manifest
from builder.channels.registry.reference import Reference
from builder.engine.client import Engine
from builder.errors import ExitCode
from builder.process import Runner
from tests.integration.channels.faulty_proxy import Fault, Proxy, drop, faulty, refuse
from tests.integration.channels.promotion_labs import Lab, promotion_lab
from tests.integration.channels.registry_labs import Lab as RegistryLab
from tests.integration.channels.registry_labs import asking, index_of, registry, with_password

REFUSED, PARTLY = int(ExitCode.NOTHING_MOVED), int(ExitCode.MOVED_PARTLY)


@dataclass
class Scene:
    """A machine that promotes into a registry."""

    lab: Lab
    registry: RegistryLab
    folder: Path

    def find(self, tag: str) -> Manifest | None:
        """What a tag names, asked of the registry itself."""
        with asking(self.registry.host, self.folder) as (asked, _):
            found: Manifest | None = asked.find(self.repository.tagged(tag))
            return found

    def put(self, tag: str, manifest: Manifest) -> None:
        """Move a tag by hand."""
        with asking(self.registry.host, self.folder) as (asked, _):
            asked.put(self.repository.tagged(tag), manifest)

    @property
    def repository(self) -> Reference:
        return Reference.parse(f"{self.registry.host}/ai/llama")

    def own(self, reference: str) -> Manifest:
        """What an image's own tag names."""
        found = self.find(reference.rpartition(":")[2])
        assert found
        return found

    def through(self, proxy: Proxy) -> None:
        """Promote by way of a proxy from here on."""
        self.lab.settings = {**self.lab.settings, "registry": {"repository": f"{proxy.host}/ai/llama"}}

    def all_named(self) -> tuple[str, str, str | None, str | None]:
        """What engine and registry adopt, and what they had before."""
        found = [self.find(tag) for tag in ("latest", "previous")]
        adopted, previous = (manifest.digest if manifest else None for manifest in found)
        return (*self.lab.channels(), adopted, previous)


@pytest.fixture
def scene(engine: Engine, runner: Runner, tmp_path: Path) -> Iterator[Scene]:
    nobody = tmp_path / "nobody"
    nobody.mkdir()
    with registry(tmp_path, kept=True) as running:
        settings = {"registry": {"repository": f"{running.host}/ai/llama"}, "adoption": {"env-file": ".env"}}
        with promotion_lab(engine, runner, tmp_path, settings) as lab:
            yield Scene(lab, running, nobody)


def test_the_very_same_bytes_are_adopted_and_the_ledger_knows_them(scene: Scene) -> None:
    lab = scene.lab
    first, second = lab.judged(10001), lab.judged(10002)
    lab.done("promote", first)
    assert scene.find("latest") == scene.own(first)
    assert scene.find("previous") is None
    lab.done("promote", second)
    adopted = scene.own(second)
    assert (scene.find("latest"), scene.find("previous")) == (adopted, scene.own(first))
    assert adopted.config == lab.id(second)
    assert (lab.folder / ".env").read_text() == f"LLAMA_IMAGE={scene.repository.pinned(adopted.digest)}\n"
    with lab.ledger() as ledger:
        assert ledger.images.same(lab.id(second)) == tuple(sorted((lab.id(second), adopted.digest)))
    pushes = [line for log in lab.folder.glob("cache/logs/*/registry.log") for line in log.read_text().splitlines()]
    assert len([line for line in pushes if "digest: sha256" in line]) == 2


def test_a_rollback_puts_the_same_bytes_back_and_what_is_gone_here_is_pulled_first(scene: Scene) -> None:
    lab = scene.lab
    first, second = lab.judged(10001), lab.judged(10002)
    lab.done("promote", first)
    good = scene.own(first)
    lab.done("promote", second)
    image = lab.id(first)
    for reference in (*lab.engine.references_of(lab.repository), *lab.engine.references_of(str(scene.repository))):
        if lab.id(reference) == image:
            lab.engine.remove_image(reference)
    assert lab.engine.image(image) is None
    planned = lab.document("rollback", "--dry-run", "--to", good.digest, "--accept-moved")
    assert (planned["result"], planned["image"]["id"]) == ("planned", image)
    assert lab.engine.image(image) is None
    lab.done("rollback", "--accept-moved", "--why", "loses tokens")
    assert lab.channels() == (image, image)
    assert scene.find("latest") == scene.find("previous") == good
    assert (lab.folder / ".env").read_text() == f"LLAMA_IMAGE={scene.repository.pinned(good.digest)}\n"
    said = lab.done("promote", second, status=REFUSED)
    assert "loses tokens" in said


def test_an_index_under_the_own_tag_is_adopted_as_a_whole(scene: Scene) -> None:
    lab = scene.lab
    reference = lab.judged(10001)
    assert lab.engine.push(_there(scene, reference), timeout=60).returncode == 0
    index = index_of(scene.own(reference))
    scene.put(reference.rpartition(":")[2], index)
    lab.done("promote", reference)
    assert scene.find("latest") == index
    with lab.ledger() as ledger:
        known = ledger.images.find(lab.id(reference))
    assert known
    assert (known.indexes, known.manifests) == ((index.digest,), index.children)


def test_what_the_registry_lost_is_pushed_again(scene: Scene) -> None:
    lab = scene.lab
    reference = lab.judged(10001)
    lab.done("promote", reference)
    layer = scene.own(reference).blobs[-1].removeprefix("sha256:")
    blobs = scene.lab.folder / "data/docker/registry/v2"
    shutil.rmtree(blobs / "blobs/sha256" / layer[:2] / layer)
    shutil.rmtree(blobs / "repositories/ai/llama/_layers/sha256" / layer)
    other = lab.judged(10002)
    assert "has lost" in lab.done("promote", other)
    assert (scene.find("latest"), scene.find("previous")) == (scene.own(other), None)
    lab.done("rollback")
    with asking(scene.registry.host, scene.folder) as (asked, _):
        assert asked.missing(scene.repository, scene.own(reference)) == ()
    assert scene.find("latest") == scene.own(reference)


def test_a_tag_of_its_own_that_is_another_image_there_is_refused(scene: Scene) -> None:
    lab = scene.lab
    reference, other = lab.judged(10001), lab.judged(10002)
    lab.done("promote", other)
    before = scene.all_named()
    scene.put(reference.rpartition(":")[2], scene.own(other))
    said = lab.done("promote", reference, status=REFUSED)
    assert "is another image" in said
    assert scene.all_named() == before


def test_a_tag_that_somebody_moved_in_the_registry_is_shown(scene: Scene) -> None:
    lab = scene.lab
    first, second, third = (lab.judged(number) for number in (10001, 10002, 10003))
    lab.done("promote", first)
    lab.done("promote", second)
    scene.put("latest", scene.own(first))
    before = scene.all_named()
    said = lab.done("promote", third, status=REFUSED)
    assert f"registry {scene.repository}:latest: {scene.own(first).digest[:19]}" in said
    assert scene.all_named() == before


def test_a_registry_that_is_not_there_or_lets_nobody_in_moves_nothing(
    engine: Engine, runner: Runner, tmp_path: Path
) -> None:
    with promotion_lab(engine, runner, tmp_path, {"registry": {"repository": "127.0.0.1:1/ai/llama"}}) as lab:
        reference = lab.judged(10001)
        assert "does not answer" in lab.done("promote", reference, status=REFUSED)
        with registry(tmp_path, auth=with_password(tmp_path)) as closed:
            lab.settings = {"registry": {"repository": f"{closed.host}/ai/llama"}}
            assert "does not allow" in lab.done("promote", reference, status=REFUSED)
        assert lab.channels() == ("", "")


@pytest.mark.parametrize(
    "fault",
    [
        Fault("PUT .*/manifests/latest", refuse(500)),
        Fault("PUT .*/manifests/latest", drop, before=False),
    ],
    ids=["refused", "moved without a word"],
)
def test_a_registry_that_fails_at_the_last_moves_back_or_tells_what_stands(scene: Scene, fault: Fault) -> None:
    lab = scene.lab
    first, second = lab.judged(10001), lab.judged(10002)
    lab.done("promote", first)
    assert lab.engine.push(_there(scene, second), timeout=60).returncode == 0
    before = scene.all_named()
    with faulty(scene.registry.host) as proxy:
        scene.through(proxy)
        proxy.faults.append(fault)
        done = lab.run("promote", second)
        proxy.faults.clear()
        if done.returncode == PARTLY:
            assert "--undo" in done.stderr
            assert scene.all_named() != before
            assert "undone" in lab.done("rollback", "--undo")
        else:
            assert done.returncode == REFUSED, done.stderr
        adopted, _, there, _ = scene.all_named()
        assert (adopted, there) == (before[0], before[2])
        lab.done("promote", second)
    assert scene.find("latest") == scene.own(second)


def test_what_a_killed_promotion_left_is_finished_by_the_next(scene: Scene) -> None:
    lab = scene.lab
    first, second, third = (lab.judged(number) for number in (10001, 10002, 10003))
    lab.done("promote", first)
    for reference in (second, third):
        assert lab.engine.push(_there(scene, reference), timeout=60).returncode == 0
    with faulty(scene.registry.host) as proxy:
        scene.through(proxy)
        lab.done("promote", second)
        proxy.faults.append(Fault("PUT .*/manifests/latest", drop))
        killed = subprocess.Popen(
            [sys.executable, "-m", "builder", "promote", third], cwd=lab.folder, env=lab.environment()
        )
        deadline = time.monotonic() + 60
        while not any("PUT" in asked and asked.endswith("latest") for asked in proxy.seen[-3:]):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        killed.kill()
        killed.wait(20)
        proxy.faults.clear()
        assert lab.channels() == (lab.id(second), lab.id(second))
        document = lab.document("promote", third)
    assert [one["result"] for one in document["settled"]] == ["done"]
    assert document["result"] == "already"
    assert lab.channels() == (lab.id(third), lab.id(second))
    assert (scene.find("latest"), scene.find("previous")) == (scene.own(third), scene.own(second))


def _there(scene: Scene, reference: str) -> str:
    """The name under which the engine pushes an image's own tag."""
    name = str(scene.repository.tagged(reference.rpartition(":")[2]))
    scene.lab.engine.tag(reference, name)
    return name
