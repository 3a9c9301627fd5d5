"""Prune on engines of both stores and in a real registry: what is needed stays, and what is not goes."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from builder.channels.ledger.evidence import BuildEntry, ImageEntry
from builder.channels.ledger.ledger import Ledger, open_ledger
from builder.channels.ledger.moves import PromotionEntry, Step
from builder.channels.places.reach import Reach
from builder.channels.registry.client import Registry
from builder.channels.registry.manifest import Manifest
from builder.channels.registry.reference import Reference
from builder.channels.retention.build_cache import BuildCache
from builder.channels.retention.prune import Pruner
from builder.channels.retention.rules import Policy
from builder.config import load
from builder.engine.client import Engine
from builder.plan.tag import tag_of
from builder.process import Runner
from tests.integration.channels.faulty_proxy import faulty
from tests.integration.channels.registry_labs import asking, docker_config, image_in, registry
from tests.integration.conftest import builder
from tests.integration.engines import is_on_overlay, second_engine
from tests.ports import free_port

NOBODY = Policy(0, timedelta())
"""Keeps nothing but what is needed."""
_BUILD = re.compile(r"(?P<build>b\d+(-cuda)?)(?P<tests>-tests)?")
"""What a test calls an image of a build, or its tests image."""


def plan_of(build: str) -> str:
    """Digest of a build's plan."""
    return f"sha256:{build.encode().hex():0<64}"


def own_tag(word: str) -> str:
    """The tag that an image of a build has of its own, such as `b1-cpu-6231000000`; any other word as it is."""
    found = _BUILD.fullmatch(word)
    return f"{tag_of(found['build'], None, None, plan_of(found['build']))}{found['tests'] or ''}" if found else word


def build_of(name: str) -> str:
    """What a test calls an image, by a name of it."""
    build, found, rest = name.rpartition(":")[2].partition("-cpu-")
    return f"{build}-tests" if found and rest.endswith("-tests") else build


@pytest.fixture(scope="module")
def classic(runner: Runner) -> Iterator[Engine]:
    with an_engine(runner, containerd=False) as engine:
        yield engine


@pytest.fixture(scope="module")
def containerd(runner: Runner) -> Iterator[Engine]:
    with an_engine(runner, containerd=True) as engine:
        yield engine


@contextmanager
def an_engine(runner: Runner, *, containerd: bool) -> Iterator[Engine]:
    """An engine of its own, so that nobody else's images are at stake."""
    if is_on_overlay(Path(tempfile.gettempdir())):
        pytest.skip("the temporary folder is on an overlay file system, which cannot hold an engine's layers")
    with second_engine(runner, {"features": {"containerd-snapshotter": containerd}}) as engine:
        assert engine.info().containerd_store == containerd
        yield engine


@dataclass(frozen=True)
class Lab:
    """Images under a name of their own."""

    engine: Engine
    repository: str
    folder: Path

    def image(self, tag: str, *others: str, tests: bool = False, base: str = "scratch", variant: str = "cpu") -> str:
        """Build an image of ours; gives its ID."""
        build = tag.removesuffix("-tests")
        labels = {"plan": plan_of(build), "variant": variant, **({"tests": "test-backend-ops"} if tests else {})}
        words = [word for name, value in labels.items() for word in ("--label", f"local.builder.{name}={value}")]
        words += ["--label", f"org.opencontainers.image.version={build}"]
        names = [word for name in (tag, *others) for word in ("--tag", self.name(name))]
        recipe = f'FROM {base}\nCOPY file /{tag}\nCMD ["/{tag}"]\n'
        (self.folder / "file").write_text(uuid.uuid4().hex, encoding="utf-8")
        (self.folder / "Dockerfile").write_text(recipe, encoding="utf-8")
        command = ("build", "--quiet", "--provenance=false", *words, *names, str(self.folder))
        done = self.engine.ask(*command, timeout=120)
        assert done.returncode == 0, done.stderr
        return self.id(tag)

    def id(self, tag: str) -> str:
        image = self.engine.image(self.name(tag))
        assert image
        return image.id

    @property
    def tags(self) -> set[str]:
        return {build_of(name) for name in self.engine.references_of(self.repository)}

    def name(self, name: str) -> str:
        return name if ":" in name else f"{self.repository}:{own_tag(name)}"

    def environment(self) -> dict[str, str]:
        """Folders of its own, this engine, and a narrow terminal."""
        kept = {f"BUILDER_{kind.upper()}": str(self.folder / kind) for kind in ("state", "cache")}
        return {**os.environ, **kept, "DOCKER_HOST": self.engine.command[-1], "COLUMNS": "80"}

    def write_config(self, text: str = "") -> Path:
        file = self.folder / "builder.toml"
        file.write_text(f'[image]\nrepository = "{self.repository}"\n{text}', encoding="utf-8")
        return file

    @contextmanager
    def pruner(self, policy: Policy = NOBODY, text: str = "") -> Iterator[Pruner]:
        config = load(self.write_config(text), environ={})
        locks = self.folder / "locks"
        locks.mkdir(exist_ok=True)
        with (
            open_ledger(self.folder / "ledger.sqlite") as ledger,
            Reach(self.engine, Runner(), self.folder) as reach,
        ):
            yield Pruner(config, ledger, reach, policy, locks, lambda: datetime.now(UTC))

    def prune(self, policy: Policy = NOBODY, text: str = "") -> dict[str, str]:
        """Take away what may go; why not, by tag, where something did not."""
        with self.pruner(policy, text) as pruner:
            return {build_of(one.row.item.names[0]): one.why for one in pruner.remove(pruner.on_engine())}


@pytest.fixture
def lab(classic: Engine, tmp_path: Path) -> Iterator[Lab]:
    with a_lab(classic, tmp_path) as lab:
        yield lab


@contextmanager
def a_lab(engine: Engine, folder: Path) -> Iterator[Lab]:
    yield Lab(engine, f"lab-{uuid.uuid4().hex[:8]}/llama", folder)
    if containers := engine.ask("container", "ls", "--all", "--quiet").stdout.split():
        engine.ask("container", "rm", "--force", *containers)
    if names := engine.ask("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").stdout.split():
        engine.ask("image", "rm", "--force", *names)


@pytest.mark.parametrize("store", ["classic", "containerd"])
def test_what_is_needed_stays_and_the_rest_goes_with_its_tests(
    store: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with a_lab(request.getfixturevalue(store), tmp_path) as lab:
        needed_and_not(lab)


def needed_and_not(lab: Lab) -> None:
    lab.image("b1")
    lab.image("b1-tests", tests=True, base=lab.name("b1"))
    for tag, channel in (("b2", "latest"), ("b3", "previous"), ("b4", "candidate")):
        lab.image(tag, channel)
    lab.image("b4-tests", tests=True, base=lab.name("b4"))
    used = lab.image("b5")
    assert lab.engine.ask("create", used).returncode == 0
    lab.image("b6", "somebody/else:mine")
    pinned = lab.image("b7")
    files = '[adoption]\ncompose-file = "c.yaml"\nservices = ["chat"]\n'
    (lab.folder / "c.yaml").write_text(f'services:\n  "chat":\n    image: "{pinned}"\n', encoding="utf-8")
    waiting = lab.image("b8")
    lab.image("b9")
    lab.image("b10", "golden", "kept-0123456789ab")
    lab.image("b10-tests", tests=True, base=lab.name("b10"))
    lab.image("b11", "kept-0123456789ac")
    with lab.pruner(text=files) as pruner:
        plan_promotion(pruner.ledger, lab, waiting)
        survey = pruner.on_engine()
        assert {build_of(row.item.names[0]) for row in survey.going} == {"b1", "b1-tests", "b9", "b11"}
        assert {row.why for row in survey.rows if build_of(row.item.names[0]) == "b10"} == {"somebody tagged it golden"}
        assert survey.freed > 0
        assert "b9" in lab.tags
    assert lab.prune(text=files) == {"b1-tests": "", "b1": "", "b9": "", "b11": ""}
    kept = {"b2", "b3", "b4", "b4-tests", "b5", "b6", "b7", "b8", "latest", "previous", "candidate"}
    kept |= {"b10", "b10-tests", "golden", "kept-0123456789ab"}
    assert lab.tags == kept
    assert lab.prune(text=files) == {}


def test_the_last_builds_of_each_variant_stay(lab: Lab) -> None:
    for tag in ("b1", "b2", "b3"):
        lab.image(tag)
    lab.image("b0-cuda", variant="cuda")
    assert lab.prune(Policy(1, timedelta(days=1))) == {}
    assert lab.prune(Policy(2, timedelta())) == {"b1": ""}
    assert lab.tags == {"b2", "b3", "b0-cuda"}


def test_what_came_to_be_needed_after_it_was_looked_at_stays(lab: Lab) -> None:
    for tag in ("b1", "b2", "b3", "b4"):
        lab.image(tag)
    with lab.pruner() as pruner:
        survey = pruner.on_engine()
        assert len(survey.going) == 4
        lab.engine.ask("create", lab.id("b1"))
        lab.engine.tag(lab.id("b2"), f"{lab.repository}:latest")
        held = lab.folder / "locks" / f"{plan_of('b3').removeprefix('sha256:')}.lock"
        with held.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            why = {build_of(one.row.item.names[0]): one.why for one in pruner.remove(survey)}
    assert "uses it" in why["b1"]
    assert why == {**why, "b2": "its names are others by now", "b3": "a build is at it", "b4": ""}
    assert lab.tags == {"b1", "b2", "b3", "latest"}


def test_names_of_killed_builds_go_and_those_of_builds_under_way_stay(lab: Lab) -> None:
    lab.image("b1", "latest", "builder-build/unjudged:1111111111111111")
    lab.image("builder-build/unjudged:2222222222222222")
    lab.image("builder-build/unjudged:3333333333333333-tests", tests=True)
    locks = lab.folder / "locks"
    locks.mkdir()
    for digit in "123":
        (locks / f"{digit * 64}.lock").touch()
    with (locks / f"{'2' * 64}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert set(lab.prune(Policy(5, timedelta(days=7))).values()) == {""}
    left = lab.engine.references_of("builder-build/unjudged")
    assert left == ("builder-build/unjudged:2222222222222222",)
    assert lab.tags == {"b1", "latest"}


def test_the_command_shows_first_and_takes_away_when_told(lab: Lab) -> None:
    for tag in ("b1", "b2"):
        lab.image(tag)
    file = lab.write_config()
    env = lab.environment()
    words = ("--config", str(file), "prune", "--keep", "1", "--older-than", "0", "--build-cache")
    shown = builder(*words, env=env)
    assert (shown.returncode, lab.tags) == (0, {"b1", "b2"}), shown.stderr
    assert "engine: 1 of 2 can go" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    applied = builder(*words, "--apply", "--json", env=env)
    assert applied.returncode == 0, applied.stderr
    document = json.loads(applied.stdout)
    fates = {build_of(row["names"][0]): row["removed"] for row in document["places"][0]["images"]}
    assert (fates, lab.tags) == ({"b1": True, "b2": False}, {"b2"})
    assert builder("--config", str(file), "prune", "--registry", env=env).returncode == 2
    assert builder("--config", str(file), "prune", "--older-than", "a week", env=env).returncode == 2


def test_the_cache_of_our_builds_goes_and_that_of_others_stays(lab: Lab) -> None:
    for stage in ("served", "theirs"):
        recipe = f"FROM scratch AS below\nCOPY file /below\nFROM below AS {stage}\nCOPY file /{stage}\n"
        (lab.folder / "file").write_text(uuid.uuid4().hex * 1000, encoding="utf-8")
        command = ("build", "--output=type=cacheonly", "--file", "-", str(lab.folder))
        done = lab.engine.ask("buildx", *command, stdin=recipe.encode(), timeout=120)
        assert done.returncode == 0, done.stderr
    assert BuildCache(lab.engine, timedelta(days=1)).look().records == 0
    cache = BuildCache(lab.engine, timedelta())
    assert cache.look().records >= 1
    cache.empty()
    assert cache.look().records == 0
    left = lab.engine.ask("buildx", "du", "--verbose").stdout
    assert "[theirs 1/1]" in left
    assert "[below 1/1]" in left
    assert "[served 1/1]" not in left


@pytest.fixture
def published(tmp_path: Path) -> Iterator[tuple[Registry, Reference, dict[str, Manifest]]]:
    """A registry with builds of ours, the older first, one of nobody, and signatures."""
    folder = tmp_path / "registry"
    folder.mkdir()
    with registry(folder) as lab, asking(lab.host, docker_config(folder / "docker")) as (opened, reference):
        made = {tag: image_in(lab, reference.repository, tag) for tag in ("b1", "b2", "b3", "b4", "theirs")}
        for tag, manifest in made.items():
            opened.put(reference.tagged(own_tag(tag)), manifest)
        opened.put(reference.tagged("golden"), made["b4"])
        opened.put(reference.tagged("latest"), made["b2"])
        for signed, ending in (("b1", "sig"), ("b2", "att")):
            tag = f"sha256-{made[signed].digest.removeprefix('sha256:')}.{ending}"
            opened.put(reference.tagged(tag), image_in(lab, reference.repository, tag))
        gone = f"sha256-{'ab' * 32}.sig"
        opened.put(reference.tagged(gone), image_in(lab, reference.repository, gone))
        yield opened, reference, made


def test_in_a_registry_what_no_kept_tag_names_goes_with_its_signatures(
    lab: Lab, published: tuple[Registry, Reference, dict[str, Manifest]]
) -> None:
    opened, reference, made = published
    repository = f"{reference.host}/{reference.repository}"
    with lab.pruner(Policy(1, timedelta(days=7)), f'[registry]\nrepository = "{repository}"\n') as pruner:
        for days, tag in ((50, "b4"), (40, "b1"), (30, "b2"), (20, "b3")):
            record(pruner.ledger, tag, made[tag], days)
        survey = pruner.in_registry()
        going = {build_of(name)[:7] for row in survey.going for name in row.item.names}
        assert going == {"b1", "sha256-"}
        assert len(survey.going) == 3
        opened.put(reference.tagged("pinned"), made["b1"])
        gone = {one.row.item.digest: one.done for one in pruner.remove(survey)}
        assert (gone[made["b1"].digest], sorted(gone.values())) == (False, [False, False, True])
        assert own_tag("b1") in opened.tags(reference)
        assert pruner.in_registry().going == ()
        opened.put(reference.tagged("pinned"), made["b2"])
        assert all(one.done for one in pruner.remove(pruner.in_registry()))
    left = set(opened.tags(reference))
    named = {build_of(tag) for tag in left if not tag.startswith("sha256-")}
    assert named == {"b2", "b3", "b4", "golden", "latest", "pinned", "theirs"}
    assert [tag[:9] for tag in left if tag.startswith("sha256-")] == [f"sha256-{made['b2'].digest[7:9]}"]


def test_what_stays_in_a_registry_is_not_asked_for_again_at_each_removal(
    lab: Lab, published: tuple[Registry, Reference, dict[str, Manifest]]
) -> None:
    opened, reference, made = published
    with faulty(reference.host) as proxy:
        repository = f"{proxy.host}/{reference.repository}"
        with lab.pruner(Policy(1, timedelta(days=7)), f'[registry]\nrepository = "{repository}"\n') as pruner:
            for days, tag in ((40, "b1"), (30, "b2"), (20, "b3")):
                record(pruner.ledger, tag, made[tag], days)
            survey = pruner.in_registry()
            proxy.seen.clear()
            assert all(one.done for one in pruner.remove(survey))
            stays = [tag for tag in opened.tags(reference) if tag != "latest"]
    assert {own_tag(tag) for tag in ("b2", "b3", "b4", "theirs")} < {*stays}
    assert [asked for asked in proxy.seen if asked.rpartition("/")[2] in stays] == []
    assert not any("/blobs/" in asked for asked in proxy.seen)


def test_while_the_registry_is_silent_all_stays_on_the_engine_that_may_be_there(lab: Lab) -> None:
    silent = f"127.0.0.1:{free_port()}/ai/llama"
    lab.image("b1")
    lab.image("b2", f"{silent}:{own_tag('b2')}")
    known = lab.image("b3")
    file = lab.write_config(f'[registry]\nrepository = "{silent}"\n')
    state = lab.folder / "state"
    state.mkdir()
    with open_ledger(state / "ledger.sqlite") as ledger:
        ledger.images.record(ImageEntry(known, (f"sha256:{'ab' * 32}",)))
    env = {**lab.environment(), "BUILDER_STATE": str(state)}
    words = ("--config", str(file), "prune", "--keep", "0", "--older-than", "0", "--apply")
    refused = builder(*words, "--registry", env=env)
    assert (refused.returncode, lab.tags) == (3, {"b1", "b2", "b3"}), refused.stderr
    done = builder(*words, "--json", env=env)
    assert done.returncode == 0, done.stderr
    assert "What it may name stays on the engine." in done.stderr
    (place,) = json.loads(done.stdout)["places"]
    assert "does not answer" in place["unread"]
    why = {build_of(row["names"][0]): row["why"] for row in place["images"]}
    assert why["b2"] == why["b3"] == "the registry, which cannot be asked, may name it"
    assert lab.tags == {"b2", "b3"}


def test_what_was_taken_away_is_told_where_the_build_cache_is_refused(lab: Lab) -> None:
    lab.image("b1")
    client = lab.folder / "bin" / "docker"
    client.parent.mkdir()
    client.write_text(REFUSING.format(docker=shutil.which("docker")), encoding="utf-8")
    client.chmod(0o755)
    recipe = "FROM scratch AS below\nCOPY file /below\nFROM below AS served\nCOPY file /served\n"
    command = ("build", "--output=type=cacheonly", "--file", "-", str(lab.folder))
    assert lab.engine.ask("buildx", *command, stdin=recipe.encode(), timeout=120).returncode == 0
    env = {**lab.environment(), "PATH": f"{client.parent}:{os.environ['PATH']}"}
    words = ("--config", str(lab.write_config()), "prune", "--keep", "0", "--older-than", "0", "--build-cache")
    done = builder(*words, "--apply", "--json", env=env)
    assert (done.returncode, lab.tags) == (3, set()), done.stderr
    document = json.loads(done.stdout)
    assert [row["removed"] for row in document["places"][0]["images"]] == [True]
    assert document["build_cache"]["removed"] is False
    assert "the disk is on fire" in document["build_cache"]["failure"]
    shown = builder(*words, "--apply", env=env)
    assert shown.returncode == 3
    assert "are not all gone" in shown.stdout


REFUSING = """#!/bin/sh
case "$*" in
*"buildx prune"*) echo "ERROR: the disk is on fire" >&2; exit 1 ;;
*) exec {docker} "$@" ;;
esac
"""
"""Docker's client where BuildKit takes nothing away."""


def record(ledger: Ledger, build: str, manifest: Manifest, days: float) -> None:
    """Let the ledger know a build of so many days ago."""
    assert manifest.config
    plan, at = plan_of(build), datetime.now(UTC) - timedelta(days=days)
    labels = {"local.builder.plan": plan, "local.builder.variant": "cpu", "org.opencontainers.image.version": build}
    ledger.images.record(ImageEntry(manifest.config, (manifest.digest,), labels=labels))
    ledger.images.record_build(BuildEntry(plan, manifest.config, None, at, "lab", {}))


def plan_promotion(ledger: Ledger, lab: Lab, image: str) -> None:
    """Let a promotion of an image be under way."""
    step = Step("engine", f"{lab.repository}:latest", lab.id("latest"), image)
    entry = PromotionEntry(
        uuid.uuid4().hex,
        ledger.id,
        "promote",
        lab.repository,
        "latest",
        "",
        None,
        image,
        "me",
        "",
        datetime.now(UTC),
        None,
        (step,),
    )
    ledger.promotions.plan(replace(entry, before=lab.id("latest")))
