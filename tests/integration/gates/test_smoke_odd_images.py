"""The smoke gate on odd servers: of another era than they say, refusing politely, nearly full, or no server at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from builder.engine.client import Engine
from builder.engine.images import Image
from builder.gates.verdict import Outcome, Verdict
from builder.image.bases import Choice
from builder.plan.marks import FOLDER, OWN, TESTS
from builder.process import Runner
from tests.integration.gates.smoke_labs import (
    OLD_HELP,
    compile_sabotage,
    details,
    failures,
    judge,
    sabotaged,
    scene_for,
)
from tests.integration.gates.structure_labs import variation

_LAST_BOOLEAN = "4227c9b"
"""The last tree of the package index whose `--flash-attn` takes no value."""


@pytest.fixture
def judged(engine: Engine, runner: Runner, tmp_path: Path) -> Callable[..., Verdict]:
    """Judge an image with a chat profile that says something otherwise."""

    def run(image: Image, changed: Mapping[str, object] | None = None) -> Verdict:
        return judge(image, scene_for(engine, runner, tmp_path, {"health-limit": 20, **(changed or {})}))

    return run


@pytest.fixture(scope="module")
def broken(
    engine: Engine, cpu_image: str, cpu_bases: Choice, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., AbstractContextManager[Image]]:
    library = compile_sabotage(engine, cpu_bases.bases.devel, tmp_path_factory.mktemp("sabotage"))
    return lambda **how: sabotaged(engine, cpu_image, library, how)


@pytest.fixture(scope="module")
def boolean_image(engine: Engine) -> Image:
    """A real image of the last era whose `--flash-attn` takes no value."""
    ours = engine.images_with({f"{OWN}variant": "cpu"})
    found = [image for image in ours if image.labels.get(f"{OWN}commit", "").startswith(_LAST_BOOLEAN)]
    found = [image for image in found if TESTS not in image.labels]
    if not found:
        pytest.skip("there is no image of August 2025 here: `make eras` makes one")
    return found[0]


def test_a_refusal_that_comes_with_status_200_is_no_answer(
    judged: Callable[..., Verdict], broken: Callable[..., AbstractContextManager[Image]]
) -> None:
    with broken(REFUSE=1) as image:
        verdict = judged(image)
    assert verdict.outcome is Outcome.FAIL
    assert {"completion", "metrics", "memory"} <= set(failures(verdict))
    completion = next(check for check in verdict.checks if check.name == "completion")
    assert "/completion" in completion.detail
    assert '"message":"no"' in " ".join(completion.excerpt)
    assert "chat" not in failures(verdict)


def test_a_container_that_is_nearly_full_fails_before_it_is_killed(
    judged: Callable[..., Verdict], broken: Callable[..., AbstractContextManager[Image]]
) -> None:
    with broken(HOLD=400 << 20) as image:
        full, roomy = (judged(image, {"memory-limit": limit}) for limit in ("440m", "600m"))
    assert failures(full) == ["container-memory"]
    assert "of the 440 MiB that the profile's memory-limit of 440m gives; 90 % may be" in full.reasons[0]
    assert roomy.outcome is Outcome.PASS, roomy.reasons
    assert 400 < float(str(roomy.measurements["container_memory_peak_mib"])) < 440
    assert roomy.measurements["container_memory_limit_mib"] == 600


def test_a_server_whose_help_is_of_another_era_is_told(
    judged: Callable[..., Verdict], engine: Engine, cpu_image: str, tmp_path: Path
) -> None:
    script = tmp_path / "old-help"
    script.write_text(OLD_HELP)
    script.chmod(0o755)
    lines = 'COPY old-help /usr/local/bin/old-help\nENTRYPOINT ["old-help"]'
    with variation(engine, cpu_image, lines, tmp_path) as image:
        verdict = judged(image)
    assert verdict.outcome is Outcome.FAIL
    assert "(status 1) before it answered anything" in verdict.reasons[0]
    assert any("--flash-attn" in line for check in verdict.checks for line in check.excerpt)


def test_a_word_of_a_later_era_is_told_by_an_older_server(judged: Callable[..., Verdict], boolean_image: Image) -> None:
    assert judged(boolean_image).outcome is Outcome.PASS
    verdict = judged(boolean_image, {"extra-arguments": ["--flash-attn", "on"]})
    assert verdict.outcome is Outcome.FAIL
    assert "(status 1) before it answered anything" in verdict.reasons[0]
    assert any("invalid argument: on" in line for check in verdict.checks for line in check.excerpt)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('ENTRYPOINT ["sh"]', "and says no help"),
        ('ENTRYPOINT ["no-such-program"]', "lacks a program"),
        (f"RUN chmod 644 {FOLDER}/llama-server", "lacks a program"),
        (
            f"RUN printf '\\267\\0' | dd of={FOLDER}/llama-server bs=1 seek=18 conv=notrunc",
            "not made for this machine's architecture",
        ),
        (f"RUN printf 'exit 0' > {FOLDER}/llama-server", "not made for this machine's architecture"),
    ],
)
def test_an_image_that_starts_no_server_fails_with_the_reason(
    judged: Callable[..., Verdict], engine: Engine, cpu_image: str, lines: str, words: str
) -> None:
    with variation(engine, cpu_image, lines) as image:
        verdict = judged(image)
    assert verdict.outcome is Outcome.FAIL
    assert words in verdict.reasons[0]


def test_a_server_needs_no_shell_but_its_health_check_does(
    judged: Callable[..., Verdict], engine: Engine, cpu_image: str
) -> None:
    with variation(engine, cpu_image, "RUN rm /bin/sh /bin/bash") as image:
        verdict = judged(image)
    assert failures(verdict) == ["health-check"], details(verdict)
