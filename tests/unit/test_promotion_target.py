"""Which image is meant, and by which tag it is known for ever."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from builder.channels.adoption.render import Pinned
from builder.channels.promotion.evidence import require_ours, require_served
from builder.channels.promotion.target import Target, immutable_tag, is_build_of, target_of
from builder.engine.images import Image
from builder.errors import NothingMoved
from builder.image.labels import labels
from builder.plan.marks import PLAN, TESTS
from builder.plan.plan import BuildPlan, PlannedPatch, PlannedPatches, Variant
from builder.source.patches.status import Standing
from tests.unit.ledger_entries import digest
from tests.unit.plan_trees import NEW, plan


def image(labelled: dict[str, str], *references: str) -> Image:
    return Image(digest("image"), references, (), 1, labelled, (), "", "amd64")


def labelled(planned: BuildPlan) -> dict[str, str]:
    return dict(labels(planned, datetime(2026, 8, 1, tzinfo=UTC), image({})))


@pytest.mark.parametrize("variant", list(Variant))
@pytest.mark.parametrize("patched", [False, True])
def test_labels_tell_the_tag_that_the_build_gave(tmp_path: Path, variant: Variant, patched: bool) -> None:
    planned = plan(tmp_path, NEW, variant=variant)
    if patched:
        patches = (PlannedPatch("0001.patch", "one", Standing.CLEAN, ""),)
        planned = replace(planned, patches=PlannedPatches(digest("patches"), patches))
    assert immutable_tag(labelled(planned)) == planned.tag


def test_labels_that_are_not_ours_tell_no_tag() -> None:
    assert immutable_tag({}) is None
    assert immutable_tag({PLAN: digest("plan")}) is None
    assert immutable_tag({"org.opencontainers.image.version": "b1", PLAN: "sha256:x"}) is None
    assert immutable_tag({"org.opencontainers.image.version": "b 1", PLAN: digest("plan")}) is None


def test_an_image_without_labels_has_a_tag_by_its_id() -> None:
    assert Target(digest("image"), {}, "x").tag == f"id-{digest('image')[7:19]}"


def test_an_image_is_shown_by_its_own_tag_before_others_and_by_its_id_without_any(tmp_path: Path) -> None:
    planned = plan(tmp_path, NEW)
    own = f"llama:{planned.tag}"
    assert target_of(image(labelled(planned), "llama:candidate", own), "llama").shown == own
    assert target_of(image(labelled(planned), "llama:candidate"), "llama").shown == "llama:candidate"
    assert target_of(image(labelled(planned)), "llama").shown == digest("image")


@pytest.mark.parametrize(
    ("tag", "is_one"),
    [
        ("b10991-cpu-3b0016a650", True),
        ("b10991-cuda13.0-p12345678-3b0016a650", True),
        ("b10991-cpu-3b0016a650-tests", False),
        ("b109911-cpu-3b0016a650", False),
        ("b10991", False),
        ("latest", False),
    ],
)
def test_a_build_is_named_by_the_beginning_of_its_tag(tag: str, is_one: bool) -> None:
    assert is_build_of(tag, "b10991") is is_one


def test_a_name_that_only_keeps_an_image_is_no_build() -> None:
    assert not is_build_of("kept-0123456789ab", "kept")


def test_tests_images_and_images_of_others_are_refused() -> None:
    with pytest.raises(NothingMoved, match="holds upstream's test programs") as caught:
        require_served(Target(digest("image"), {TESTS: "test-backend-ops"}, "llama:b1-cpu-1-tests"))
    assert "llama:b1-cpu-1." in caught.value.remedy
    with pytest.raises(NothingMoved, match="was not built by builder"):
        require_ours(Target(digest("image"), {}, "ubuntu:24.04"))


def test_a_version_that_is_no_name_of_a_build_is_not_taken_for_one() -> None:
    target = Target(digest("image"), {"org.opencontainers.image.version": "24.04 LTS"}, "x")
    assert target.name == digest("image")[7:19]
    assert Pinned(target.id, "0" * 32, datetime(2026, 8, 1, tzinfo=UTC), target.name).name == target.name
