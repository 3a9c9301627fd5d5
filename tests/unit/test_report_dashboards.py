from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from builder.report.prometheus import exposition
from tests.unit.report_records import record, runs
from tests.unit.report_soaks import soak

_BOARDS = sorted((Path(__file__).parents[2] / "dashboards").glob("*.json"))
_BUILT_IN = {"__rate_interval", "__interval", "__range"}


def read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


@pytest.fixture(params=_BOARDS, ids=[file.stem for file in _BOARDS])
def board(request: pytest.FixtureRequest) -> Any:
    return read(request.param)


def expressions(board: Any) -> list[str]:
    return [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]


def test_there_is_one_for_serving_and_one_for_the_pipeline() -> None:
    assert {read(file)["uid"] for file in _BOARDS} == {"builder-serving", "builder-pipeline"}


def test_a_dashboard_can_be_imported_anywhere(board: Any) -> None:
    assert board["schemaVersion"] >= 36
    assert "id" not in board
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", board["uid"])
    first = board["templating"]["list"][0]
    assert (first["type"], first["name"], first["query"]) == ("datasource", "datasource", "prometheus")
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    sources = [panel["datasource"] for panel in panels] + [
        one["datasource"] for panel in panels for one in panel["targets"]
    ]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)


def test_panels_have_numbers_and_places_of_their_own(board: Any) -> None:
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells


def test_every_panel_has_a_title_a_unit_and_targets_with_letters_of_their_own(board: Any) -> None:
    for panel in board["panels"]:
        assert panel["title"]
        if panel["type"] != "row":
            assert panel["fieldConfig"]["defaults"]["unit"]
            letters = [target["refId"] for target in panel["targets"]]
            assert letters
            assert len(set(letters)) == len(letters)


def test_every_variable_that_is_used_is_there(board: Any) -> None:
    known = {variable["name"] for variable in board["templating"]["list"]} | _BUILT_IN
    used = {name for expression in expressions(board) for name in re.findall(r"\$\{?(\w+)", expression)}
    assert used <= known
    assert known - _BUILT_IN - {"datasource"} <= used


def test_every_figure_of_ours_in_a_dashboard_is_one_that_is_written() -> None:
    texts = (
        exposition(record(), soak()),
        exposition(record(runs(3, figures={"embed/short": (0.004, 20), "vectors/batch": (900.0, 4)}))),
    )
    written = set(re.findall(r"^(builder_\w+)\{", "\n".join(texts), re.MULTILINE))
    boards = [read(file) for file in _BOARDS]
    asked = {name for board in boards for one in expressions(board) for name in re.findall(r"builder_\w+", one)}
    queries = [json.dumps(variable) for board in boards for variable in board["templating"]["list"]]
    asked |= {name for query in queries for name in re.findall(r"builder_\w+", query)}
    assert len(asked) > 15
    assert asked <= written


@pytest.mark.parametrize(
    "wanted",
    [
        "llamacpp:prompt_seconds_total",
        "llamacpp:tokens_predicted_total",
        "llamacpp:prompt_tokens_cached_total",
        "llamacpp:requests_deferred",
        "DCGM_FI_DEV_GPU_UTIL",
        "nvidia_smi_utilization_gpu_ratio",
        "container_memory_working_set_bytes",
        "container_cpu_usage_seconds_total",
    ],
)
def test_the_serving_stack_is_seen_in_what_users_feel_and_what_it_takes(wanted: str) -> None:
    (serving,) = (read(file) for file in _BOARDS if file.stem == "serving")
    assert any(wanted in expression for expression in expressions(serving))
