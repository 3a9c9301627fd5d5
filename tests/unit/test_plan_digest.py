"""The plan's digest: one formula for the plan and for what a build record has of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builder.plan.digest import digest_of
from tests.unit.plan_trees import NEW, plan


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    """A plan as a build record has it."""
    read: dict[str, Any] = json.loads(json.dumps(plan(tmp_path, NEW).document()))
    return read


def test_a_plan_and_its_document_have_one_digest(document: dict[str, Any]) -> None:
    assert digest_of(document) == document["digest"]


@pytest.mark.parametrize("key", ["tree", "platform", "variant", "cuda", "recipe", "targets", "stamp", "patches"])
def test_what_decides_cannot_be_taken_away(document: dict[str, Any], key: str) -> None:
    assert digest_of({name: value for name, value in document.items() if name != key}) != document["digest"]


def test_a_definition_and_a_base_decide(document: dict[str, Any]) -> None:
    other = [{**one, "value": "OFF"} if one["name"] == "GGML_CUDA_GRAPHS" else one for one in document["definitions"]]
    assert digest_of({**document, "definitions": other}) != document["digest"]
    assert digest_of({**document, "bases": {**document["bases"], "devel_id": "sha256:1"}}) != document["digest"]


def test_where_the_tree_came_from_does_not_decide(document: dict[str, Any]) -> None:
    elsewhere = {**document, "revision": {}, "features": [], "bases": {**document["bases"], "devel": "other"}}
    assert digest_of(elsewhere) == document["digest"]
