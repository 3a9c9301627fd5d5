"""Every expression of the dashboards asked of a real Prometheus, which looks at a real llama-server."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import httpx
import pytest

from builder.engine.images import Image
from builder.performance.prepare import prepare
from builder.performance.subject import subjects_of
from builder.performance.tools import Tools
from builder.report.prometheus import exposition
from builder.server.client import Client, chat_request
from builder.server.running import serve
from tests.integration.performance.prometheus_labs import Prometheus, exporter, program, prometheus
from tests.unit.report_records import record, runs
from tests.unit.report_soaks import soak

_BOARDS = Path(__file__).parents[3] / "dashboards"
_VARIABLES = {"$__rate_interval": "30s", "$history": "90d", "$instance": ".*", "$container": ".*", "$profile": ".*"}
_VECTORS = {"embed/short": (0.004, 20), "vectors/batch": (900.0, 4)}
_LOOKS = 4
_QUESTION = {
    **chat_request("Which of the moons of Jupiter has an ocean below its ice, and who has seen it first?", 12),
    "cache_prompt": True,
}
_OTHERS = """\
# TYPE container_memory_working_set_bytes gauge
container_memory_working_set_bytes{name="llama",id="/docker/1"} 8.1e8
# TYPE container_spec_memory_limit_bytes gauge
container_spec_memory_limit_bytes{name="llama",id="/docker/1"} 4.2e9
# TYPE container_cpu_usage_seconds_total counter
container_cpu_usage_seconds_total{name="llama",id="/docker/1",cpu="total"} 120
# TYPE DCGM_FI_DEV_GPU_UTIL gauge
DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-1",modelName="NVIDIA GeForce RTX 3090"} 70
# TYPE DCGM_FI_DEV_FB_USED gauge
DCGM_FI_DEV_FB_USED{gpu="0",UUID="GPU-1"} 7420
# TYPE DCGM_FI_DEV_FB_FREE gauge
DCGM_FI_DEV_FB_FREE{gpu="0",UUID="GPU-1"} 16700
# TYPE DCGM_FI_DEV_POWER_USAGE gauge
DCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="GPU-1"} 240
# TYPE DCGM_FI_DEV_GPU_TEMP gauge
DCGM_FI_DEV_GPU_TEMP{gpu="0",UUID="GPU-1"} 61
# TYPE DCGM_FI_DEV_SM_CLOCK gauge
DCGM_FI_DEV_SM_CLOCK{gpu="0",UUID="GPU-1"} 1695
# TYPE nvidia_smi_utilization_gpu_ratio gauge
nvidia_smi_utilization_gpu_ratio{uuid="1"} 0.7
# TYPE nvidia_smi_memory_used_bytes gauge
nvidia_smi_memory_used_bytes{uuid="1"} 7.8e9
# TYPE nvidia_smi_memory_total_bytes gauge
nvidia_smi_memory_total_bytes{uuid="1"} 2.5e10
# TYPE nvidia_smi_power_draw_watts gauge
nvidia_smi_power_draw_watts{uuid="1"} 240
# TYPE nvidia_smi_temperature_gpu gauge
nvidia_smi_temperature_gpu{uuid="1"} 61
# TYPE nvidia_smi_clocks_current_sm_clock_hz gauge
nvidia_smi_clocks_current_sm_clock_hz{uuid="1"} 1.695e9
"""
"""Names and labels of exporters that need a GPU, or a whole machine, as their projects document them: cAdvisor's
storage/prometheus.md, dcgm-exporter's default-counters.csv, nvidia_gpu_exporter's METRICS.md."""


def _expressions(board: str) -> Iterator[str]:
    document = json.loads((_BOARDS / f"{board}.json").read_text(encoding="utf-8"))
    for panel in document["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def _filled(expression: str) -> str:
    for name, value in _VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


@pytest.fixture
def watched(tools: Tools, image: Image, tmp_path: Path) -> Iterator[Prometheus]:
    """Prometheus with a real server that answers meanwhile, our own files, and what stands for other exporters."""
    profile = tools.config.settings.profiles["chat"]
    (prepared,) = prepare(subjects_of([(image.references[0], image)], "chat", profile, ()), tools)
    ours = exposition(record(), soak()), exposition(record(runs(4, figures=_VECTORS)))
    with (
        serve(prepared.serving, tools.engine, tools.runner, log=tmp_path / "log.txt", run_id=tools.run_id) as server,
        exporter(tmp_path / "chat", ours[0]) as chat,
        exporter(tmp_path / "vectors", ours[1]) as vectors,
        exporter(tmp_path / "others", _OTHERS) as others,
    ):
        assert server.address
        with Client(server.address, timeout=60) as client:
            until = monotonic() + 180
            while client.health(5) != 200 and monotonic() < until:
                pass
            targets = {
                "llama": server.address.url.removeprefix("http://"),
                "chat": chat,
                "vectors": vectors,
                "others": others,
            }
            (tmp_path / "prometheus").mkdir()
            with prometheus(tmp_path / "prometheus", targets) as running:
                running.await_looks(len(targets), 1)
                for _ in range(2):
                    httpx.post(
                        f"{server.address.url}/v1/chat/completions", json=_QUESTION, timeout=60
                    ).raise_for_status()
                running.await_looks(len(targets), _LOOKS)
                yield running


def test_every_expression_of_a_dashboard_has_something_to_show(watched: Prometheus) -> None:
    shown = {one: watched.ask(_filled(one)) for board in ("serving", "pipeline") for one in _expressions(board)}
    assert not [expression for expression, found in shown.items() if not found]
    assert watched.ask("llamacpp:no_such_metric") == []
    (rate,) = next(found for expression, found in shown.items() if "cached" in expression)
    assert 0.3 < float(rate["value"][1]) < 0.7, "of two equal prompts the second came from the cache"


def test_what_we_write_passes_prometheus_own_linter() -> None:
    def lint(text: str) -> subprocess.CompletedProcess[str]:
        words = [program("promtool"), "check", "metrics"]
        return subprocess.run(words, input=text, capture_output=True, text=True, timeout=120, check=False)

    whole = exposition(record(), soak())
    for text in (whole, exposition(record(runs(4, figures=_VECTORS)))):
        done = lint(text)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert lint(whole.replace("ttft_seconds", "ttft_milliseconds")).returncode
