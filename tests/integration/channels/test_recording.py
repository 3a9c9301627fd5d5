"""What is built and judged, in the ledger; and the ledger held against a real engine."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from builder.channels.ledger.ledger import open_ledger
from builder.channels.ledger.moves import PromotionEntry, Step
from builder.channels.ledger.values import digest_of
from builder.engine.client import Engine
from builder.engine.images import Image
from builder.paths import Paths
from builder.plan.marks import OWN, PLAN
from tests.integration.channels.registry_labs import asking, docker_config, image_in, registry
from tests.integration.conftest import builder

Run = Callable[..., subprocess.CompletedProcess[str]]
PROMOTION = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def site(tmp_path: Path, name: str) -> dict[str, str]:
    """Variables of a person who has nothing yet and whose images have a name of their own."""
    return {
        "BUILDER_CACHE": str(tmp_path / "cache"),
        "BUILDER_STATE": str(tmp_path / "state"),
        "BUILDER_IMAGE_REPOSITORY": name,
        "COLUMNS": "80",
    }


@pytest.fixture
def run(site: dict[str, str], tmp_path: Path) -> Run:
    def run(*words: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        done = builder(*words, cwd=tmp_path, env={**os.environ, **site, **more}, timeout=300)
        assert done.returncode == code, done.stderr + done.stdout
        return done

    return run


@pytest.fixture
def ledger(site: dict[str, str]) -> Path:
    return Paths(Path(site["BUILDER_CACHE"]), Path(site["BUILDER_STATE"])).ledger


@pytest.fixture
def image(engine: Engine, cpu_image: str, name: str) -> Image:
    """A real image with a name of its own."""
    engine.tag(cpu_image, f"{name}:latest")
    found = engine.image(f"{name}:latest")
    assert found
    return found


@pytest.fixture
def other(engine: Engine, name: str, tmp_path: Path) -> Image:
    """An image in which there is nothing."""
    archive = tmp_path / "root.tar"
    with tarfile.open(archive, "w") as tar:
        file = tarfile.TarInfo("file")
        file.size = 4
        tar.addfile(file, io.BytesIO(b"text"))
    engine.import_rootfs(archive, f"{name}:other", ['ENTRYPOINT ["/file"]'])
    found = engine.image(f"{name}:other")
    assert found
    return found


def test_a_build_is_in_the_ledger_with_its_revision_and_its_version(engine: Engine, cpu_image: str) -> None:
    image = engine.image(cpu_image)
    assert image
    with open_ledger(Paths.default().ledger) as ledger:
        builds = ledger.images.builds(image.id)
        assert image.labels[PLAN] in {build.plan for build in builds}
        assert image.labels[f"{OWN}commit"] in {build.commit or "unknown" for build in builds}
        assert ("version", "pass") in {(one.gate, one.outcome) for one in ledger.verdicts.of(image.id)}


def test_verdicts_are_kept_and_travel_to_another_machine(
    run: Run, ledger: Path, image: Image, tmp_path: Path, engine: Engine
) -> None:
    judged = json.loads(run("judge", image.id, "--gate", "version,structure", "--out", "v.jsonl", "--json").stdout)
    assert (judged["exit_code"], judged["recorded"]) == (0, True)
    with open_ledger(ledger) as opened:
        mine = opened.verdicts.of(image.id)
        known = opened.images.find(image.id)
    assert {(one.gate, one.outcome, one.gpus) for one in mine} == {("version", "pass", ()), ("structure", "pass", ())}
    if not engine.info().containerd_store:
        assert known
        assert known.labels == dict(image.labels)
    statements = [json.loads(line) for line in (tmp_path / "v.jsonl").read_text().splitlines()]
    assert [one["predicate"]["result"] for one in statements] == ["PASSED", "PASSED"]
    subjects = {one["subject"][0]["digest"]["sha256"] for one in statements}
    assert subjects == {image.id.removeprefix("sha256:")}

    second, third = tmp_path / "second", tmp_path / "third"
    run("ledger", "import", "v.jsonl", BUILDER_STATE=str(second))
    run("ledger", "export", "all.jsonl")
    run("ledger", "import", "all.jsonl", BUILDER_STATE=str(third))
    for folder in (second, third):
        with open_ledger(folder / "ledger.sqlite") as opened:
            assert opened.verdicts.of(image.id) == mine


def test_what_did_not_pass_is_kept_too(site: dict[str, str], ledger: Path, other: Image) -> None:
    done = builder("judge", other.id, "--gate", "version", env={**os.environ, **site})
    assert done.returncode in (10, 20)
    with open_ledger(ledger) as opened:
        (verdict,) = opened.verdicts.of(other.id)
    assert verdict.outcome == {10: "fail", 20: "could not judge"}[done.returncode]
    assert verdict.document["reasons"]


def test_a_ledger_that_cannot_be_written_takes_no_verdict_away(run: Run, image: Image, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    words = ("judge", image.id, "--gate", "version", "--out", "v.jsonl")
    told = run(*words, code=3, BUILDER_STATE=str(tmp_path / "file"))
    assert "version: pass" in told.stdout
    assert "The ledger does not keep this." in told.stderr
    assert len((tmp_path / "v.jsonl").read_text().splitlines()) == 1
    document = json.loads(run(*words, "--json", code=3, BUILDER_STATE=str(tmp_path / "file")).stdout)
    assert (document["exit_code"], document["recorded"]) == (3, False)
    assert document["verdicts"][0]["outcome"] == "pass"


def adopt(ledger: Path, repository: str, image: Image, *further: Step) -> None:
    """Write down that the adopted tag was moved to an image, and what was moved with it."""
    now = datetime.now(UTC)
    moves = (Step("engine", f"{repository}:latest", None, image.id), *further)
    steps = tuple(replace(step, begun=now, done=now) for step in moves)
    with open_ledger(ledger) as opened:
        entry = PromotionEntry(
            PROMOTION, opened.id, "promote", repository, "latest", "", None, image.id, "me", "", now, None, steps
        )
        opened.promotions.merge(replace(entry, ended=now, result="done"))


def test_a_tag_that_was_moved_by_hand_is_found_and_can_be_put_back(
    run: Run, ledger: Path, image: Image, other: Image, name: str, engine: Engine
) -> None:
    def kinds(code: int) -> list[Any]:
        document = json.loads(run("ledger", "check", "--json", code=code).stdout)
        assert document["exit_code"] == code
        return [(one["kind"], one["subject"]) for one in document["discrepancies"]]

    latest = f"{name}:latest"
    assert kinds(20) == [("unknown", latest)]
    adopt(ledger, name, image)
    assert kinds(0) == []
    assert "The ledger is whole" in run("ledger", "check").stderr
    engine.ask("tag", other.id, latest)
    assert kinds(20) == [("moved", latest)]
    told = run("ledger", "check", code=20).stdout
    assert max(map(len, told.splitlines())) <= 80
    back = f"docker tag {image.id[7:19]} {latest}"
    assert f"`{back}` puts it back" in " ".join(told.split())
    engine.ask(*back.split()[1:])
    assert kinds(0) == []
    engine.ask("image", "rm", latest)
    assert kinds(20) == [("gone", latest)]
    engine.tag(other.id, f"{name}:candidate")
    assert ("unknown", f"{name}:candidate") in kinds(20)


def test_a_registry_and_an_adoption_file_are_looked_at_too(
    run: Run, ledger: Path, image: Image, name: str, tmp_path: Path
) -> None:
    env, repository = tmp_path / ".env", "some/llama"
    with registry(tmp_path) as lab, asking(lab.host, docker_config(tmp_path / "docker")) as (client, latest):
        wanted, moved = image_in(lab, repository, "wanted"), image_in(lab, repository, "moved")
        client.put(latest, wanted)
        there = {"BUILDER_REGISTRY_REPOSITORY": f"{lab.host}/{repository}", "BUILDER_ADOPTION_ENV_FILE": str(env)}

        def kinds(code: int) -> set[tuple[str, str]]:
            document = json.loads(run("ledger", "check", "--json", code=code, **there).stdout)
            return {(one["place"], one["kind"]) for one in document["discrepancies"]}

        pinned = f"{lab.host}/{repository}@{wanted.digest}"
        env.write_text(f"OTHER=1\nLLAMA_IMAGE={pinned}\n")
        content = digest_of(env.read_bytes())
        adopt(
            ledger,
            name,
            image,
            Step("registry", str(latest), None, wanted.digest),
            Step("file", str(env), None, content),
        )
        assert kinds(0) == set()
        env.write_text(f"OTHER=2\nLLAMA_IMAGE={pinned}\n")
        assert kinds(0) == set(), "what else the file holds is not ours"
        env.write_text("LLAMA_IMAGE=local-ai-llama:latest\n")
        client.put(latest, moved)
        assert kinds(20) == {("file", "moved"), ("registry", "moved")}
        client.put(latest, wanted)
        gone = httpx.delete(f"{lab.address}/v2/{repository}/blobs/{wanted.blobs[-1]}", trust_env=False)
        assert gone.status_code == 202
        assert kinds(20) == {("file", "moved"), ("registry", "damaged")}
    assert kinds(20) == {("file", "moved"), ("registry", "unread")}


def test_an_engine_that_does_not_answer_is_no_clean_check(run: Run, ledger: Path, image: Image, name: str) -> None:
    adopt(ledger, name, image)
    nowhere = f"unix://{ledger.parent}/nothing.sock"
    document = json.loads(run("ledger", "check", "--json", code=20, DOCKER_HOST=nowhere).stdout)
    assert {one["kind"] for one in document["discrepancies"]} == {"unread"}


def test_an_image_is_held_by_any_of_its_names_until_it_is_not(run: Run, image: Image, name: str) -> None:
    run("hold", "add", "latest", "  answers in  the wrong language ")
    (held,) = json.loads(run("hold", "list", "--json").stdout)["holds"]
    assert (held["digest"], held["reason"]) == (image.id, "answers in the wrong language")
    told = run("hold", "list").stdout
    assert max(map(len, told.splitlines())) <= 80
    assert "answers in the wrong language" in told
    run("hold", "lift", f"{name}:latest")
    assert "Nothing is held" in run("hold", "list").stderr
    assert "is not held" in run("hold", "lift", image.id, code=2).stderr
    again = json.loads(run("hold", "add", image.id, "slow", "--json").stdout)["hold"]
    run("hold", "lift", again["id"][:9])
    assert [one["lifted"] is None for one in json.loads(run("hold", "list", "--all", "--json").stdout)["holds"]] == [
        False,
        False,
    ]
    assert "no image" in run("hold", "add", f"{name}:nothing", "why", code=2).stderr
