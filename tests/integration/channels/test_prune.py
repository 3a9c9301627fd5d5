"""Prune on engines of both stores and in a real registry: what is needed stays, and what is not goes."""

from __future__ import annotations

import fcntl
import json
import os
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
from builder.process import Runner
from tests.integration.channels.registry_labs import asking, docker_config, image_in, registry
from tests.integration.conftest import builder
from tests.integration.engines import is_on_overlay, second_engine

NOBODY = Policy(0, timedelta())
"""Keeps nothing but what is needed."""


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
        plan = f"sha256:{tag.removesuffix('-tests').encode().hex():0<64}"
        labels = {"plan": plan, "variant": variant, **({"tests": "test-backend-ops"} if tests else {})}
        words = [word for name, value in labels.items() for word in ("--label", f"local.builder.{name}={value}")]
        names = [word for name in (tag, *others) for word in ("--tag", self._name(name))]
        recipe = f'FROM {base}\nCOPY file /{tag}\nCMD ["/{tag}"]\n'
        (self.folder / "file").write_text(uuid.uuid4().hex, encoding="utf-8")
        (self.folder / "Dockerfile").write_text(recipe, encoding="utf-8")
        command = ("build", "--quiet", "--provenance=false", *words, *names, str(self.folder))
        done = self.engine.ask(*command, timeout=120)
        assert done.returncode == 0, done.stderr
        return self.id(tag)

    def id(self, tag: str) -> str:
        image = self.engine.image(self._name(tag))
        assert image
        return image.id

    @property
    def tags(self) -> set[str]:
        return {name.rpartition(":")[2] for name in self.engine.references_of(self.repository)}

    def _name(self, name: str) -> str:
        return name if ":" in name else f"{self.repository}:{name}"

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
            return {one.row.item.names[0].rpartition(":")[2]: one.why for one in pruner.remove(pruner.on_engine())}


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
    lab.image("b1-tests", tests=True, base=f"{lab.repository}:b1")
    for tag, channel in (("b2", "latest"), ("b3", "previous"), ("b4", "candidate")):
        lab.image(tag, channel)
    lab.image("b4-tests", tests=True, base=f"{lab.repository}:b4")
    used = lab.image("b5")
    assert lab.engine.ask("create", used).returncode == 0
    lab.image("b6", "somebody/else:mine")
    pinned = lab.image("b7")
    files = '[adoption]\ncompose-file = "c.yaml"\nservices = ["chat"]\n'
    (lab.folder / "c.yaml").write_text(f'services:\n  "chat":\n    image: "{pinned}"\n', encoding="utf-8")
    waiting = lab.image("b8")
    lab.image("b9")
    with lab.pruner(text=files) as pruner:
        plan_promotion(pruner.ledger, lab, waiting)
        survey = pruner.on_engine()
        assert {row.item.names[0].rpartition(":")[2] for row in survey.going} == {"b1", "b1-tests", "b9"}
        assert survey.freed > 0
        assert "b9" in lab.tags
    assert lab.prune(text=files) == {"b1-tests": "", "b1": "", "b9": ""}
    kept = {"b2", "b3", "b4", "b4-tests", "b5", "b6", "b7", "b8", "latest", "previous", "candidate"}
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
        held = lab.folder / "locks" / f"{b'b3'.hex():0<64}.lock"
        with held.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            why = {one.row.item.names[0].rpartition(":")[2]: one.why for one in pruner.remove(survey)}
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
    state = {"BUILDER_STATE": str(lab.folder / "state"), "BUILDER_CACHE": str(lab.folder / "cache")}
    env = {**os.environ, **state, "DOCKER_HOST": lab.engine.command[-1], "COLUMNS": "80"}
    words = ("--config", str(file), "prune", "--keep", "1", "--older-than", "0", "--build-cache")
    shown = builder(*words, env=env)
    assert (shown.returncode, lab.tags) == (0, {"b1", "b2"}), shown.stderr
    assert "engine: 1 of 2 can go" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    applied = builder(*words, "--apply", "--json", env=env)
    assert applied.returncode == 0, applied.stderr
    document = json.loads(applied.stdout)
    fates = {row["names"][0].rpartition(":")[2]: row["removed"] for row in document["places"][0]["images"]}
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
        made = {tag: image_in(lab, reference.repository, tag) for tag in ("b1", "b2", "b3", "theirs")}
        for tag, manifest in made.items():
            opened.put(reference.tagged(tag), manifest)
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
        for days, tag in ((40, "b1"), (30, "b2"), (20, "b3")):
            record(pruner.ledger, made[tag], days)
        survey = pruner.in_registry()
        going = {name.rpartition(":")[2][:7] for row in survey.going for name in row.item.names}
        assert going == {"b1", "sha256-"}
        assert len(survey.going) == 3
        opened.put(reference.tagged("pinned"), made["b1"])
        assert [one.done for one in pruner.remove(survey)] == [True, True, False]
        assert "b1" in opened.tags(reference)
        assert all(one.done for one in pruner.remove(pruner.in_registry()))
    left = set(opened.tags(reference))
    assert {tag for tag in left if not tag.startswith("sha256-")} == {"b2", "b3", "latest", "theirs"}
    assert [tag[:9] for tag in left if tag.startswith("sha256-")] == [f"sha256-{made['b2'].digest[7:9]}"]


def record(ledger: Ledger, manifest: Manifest, days: float) -> None:
    """Let the ledger know a build of so many days ago."""
    assert manifest.config
    plan, at = f"sha256:{'1' * 64}", datetime.now(UTC) - timedelta(days=days)
    labels = {"local.builder.plan": plan, "local.builder.variant": "cpu"}
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
