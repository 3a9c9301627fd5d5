"""Promotion and rollback on an engine with containerd's store, where an image ID is a manifest's digest."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from builder.errors import ExitCode
from builder.process import Runner
from tests.integration.channels.promotion_labs import Lab, promotion_lab
from tests.integration.channels.registry_labs import registry
from tests.integration.engines import beside, is_on_overlay, second_engine


def named(folder: Path, tag: str) -> str:
    """What a tag names, by the registry's own files."""
    tags = folder / "data/docker/registry/v2/repositories/ai/llama/_manifests/tags"
    return (tags / tag / "current/link").read_text(encoding="ascii")


def forget(lab: Lab, image: str) -> None:
    """Have the engine lose an image."""
    found = lab.engine.image(image)
    assert found
    for reference in (*found.references, *found.repo_digests):
        lab.engine.ask("image", "rm", "--force", reference)
    assert lab.engine.image(image) is None


def test_the_digest_is_kept_byte_for_byte_and_what_is_gone_comes_back(runner: Runner, tmp_path: Path) -> None:
    if is_on_overlay(Path(tempfile.gettempdir())):
        pytest.skip("the temporary folder is on an overlay file system, which cannot hold an engine's layers")
    with second_engine(runner, {"features": {"containerd-snapshotter": True}}) as engine:
        prefix = beside(engine)
        with (
            registry(tmp_path, kept=True, prefix=prefix) as running,
            promotion_lab(engine, runner, tmp_path, {}, prefix) as lab,
        ):
            first, second, third = (lab.judged(number) for number in (10001, 10002, 10003))
            ids = {reference: lab.id(reference) for reference in (first, second, third)}
            lab.done("promote", first)
            assert lab.channels() == (ids[first], "")
            lab.settings = {"registry": {"repository": f"{running.host}/ai/llama"}}
            lab.done("promote", second)
            lab.done("promote", third)
            assert lab.channels() == (ids[third], ids[second])
            assert (named(tmp_path, "latest"), named(tmp_path, "previous")) == (ids[third], ids[second])
            with lab.ledger() as ledger:
                known = ledger.images.find(ids[third])
            assert known
            assert ids[third] in (*known.manifests, *known.indexes)
            forget(lab, ids[second])
            lab.done("rollback", "--accept-moved")
            assert lab.channels() == (ids[second], ids[second])
            assert (named(tmp_path, "latest"), named(tmp_path, "previous")) == (ids[second], ids[second])
            assert "is held" in lab.done("promote", third, status=int(ExitCode.NOTHING_MOVED))
