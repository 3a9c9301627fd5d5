"""What a server's log says of where it computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from builder.gates.finding import Finding, bad, good, unknown
from builder.gates.serving.trial import Trial
from builder.gates.smoke.course import Course
from builder.server.flags import GRAPHS_OFF, tells_of_graphs
from builder.server.help import Help
from builder.server.log import Buffer, LogFacts

OFFLOAD, GRAPHS, COMPUTES_ON = "offload", "graphs", "computes-on"
_CPU = ("CPU", "BLAS", "AMX")
_CACHELESS = 1
"""The layer that turns what was computed into tokens."""


def placement(trial: Trial, course: Course, known: Help) -> Iterator[Finding]:
    """Where it computed; of a server that was asked everything always, even where its log is silent."""
    if not (course.whole or course.started):
        return
    if not trial.on_gpu:
        yield on_cpu(trial, course.facts)
        return
    yield offload(trial, course.facts)
    if course.whole:
        yield graphs(trial, course.facts, known)


def offload(trial: Trial, facts: LogFacts) -> Finding:
    """Are as many layers on the GPU as the profile wants, with their weights and their cache?"""
    name = OFFLOAD
    layers, wanted = facts.offloaded, trial.profile.gpu_layers
    if layers is None or not facts.buffers:
        return _untold(wanted, facts)
    there, every = layers
    model = [buffer for buffer in facts.on("model") if buffer.on_cuda]
    shown = f"{there} of {every} layers are on the GPU"
    if there < min(wanted, every):
        return bad(name, f"Only {shown}.", _lines(facts.on("model")))
    if there > wanted:
        return bad(name, f"{shown}; the profile wants {wanted}.", _lines(facts.on("model")))
    if there and not model:
        return bad(name, f"It says that {shown}, but no weights are in a CUDA buffer.", _lines(facts.on("model")))
    if where := _misplaced(trial, facts, layers):
        return bad(name, f"{shown}, but the cache of keys and values is {where}.", _lines(_cache(facts)))
    size = sum(buffer.size for buffer in model)
    figures = {"layers_on_gpu": there, "layers": every, "weights_on_gpu_mib": round(size, 1)}
    placed = f"All {there} layers are on the GPU" if there == every else f"{shown}, as the profile wants"
    return good(name, f"{placed}, {size:.0f} MiB of weights.", figures)


def _untold(wanted: int, facts: LogFacts) -> Finding:
    name, lines = OFFLOAD, _lines(facts.on("model"))
    if not lines:
        return unknown(name, "Its log does not say where the layers of the model are.", facts.last[-3:])
    if any(buffer.on_cuda for buffer in facts.on("model")):
        if wanted:
            return unknown(name, "Weights are on the GPU; its log does not say of how many layers.", lines)
        return bad(name, "Weights are on the GPU, where the profile wants no layer.", lines)
    if wanted:
        return bad(name, "It computes on the CPU: its log tells of no layer on a GPU.", lines)
    return good(name, "No layer is on the GPU, as the profile wants.", {"layers_on_gpu": 0})


def _misplaced(trial: Trial, facts: LogFacts, layers: tuple[int, int]) -> str:
    """Where the cache is that should be on the GPU; the first layer to go there is the last, which has no cache."""
    there, every = layers
    cache = _cache(facts)
    if trial.profile.kind != "chat" or there <= _CACHELESS:
        return ""
    if not cache:
        return "in no buffer that its log names"
    elsewhere = [buffer for buffer in cache if not buffer.on_cuda]
    wrong = elsewhere if there == every or len(elsewhere) == len(cache) else []
    return f"on {wrong[0].device}" if wrong else ""


def _cache(facts: LogFacts) -> tuple[Buffer, ...]:
    """Keys and values, and what recurrent models keep instead."""
    return (*facts.on("KV"), *facts.on("RS"))


def graphs(trial: Trial, facts: LogFacts, known: Help) -> Finding:
    """Was the CUDA library built with graphs, and did it use one?"""
    name = GRAPHS
    figures = {"graphs_warmed": facts.warmed, "graphs_reused": facts.reused}
    if not facts.cuda:
        if facts.buffers and tells_of_graphs(known):
            return bad(name, "The CUDA library was not loaded: its log does not name its features.", (), figures)
        return unknown(name, "Its log does not name the features of the CUDA library, so nothing tells of graphs.")
    if GRAPHS_OFF in trial.profile.environment:
        return good(name, f"The profile turns CUDA graphs off by {GRAPHS_OFF}; none need be used.", figures)
    if not facts.graphs_built:
        return bad(name, "The CUDA library was built without CUDA graphs.", (facts.cuda,), figures)
    if facts.warmed:
        return good(name, f"A CUDA graph was warmed up and used again {facts.reused} times.", figures)
    return _unused(trial, facts, known, figures)


def _unused(trial: Trial, facts: LogFacts, known: Help, figures: Mapping[str, float]) -> Finding:
    name = GRAPHS
    if facts.too_old_for_graphs:
        return unknown(name, "This GPU is too old for CUDA graphs. Judge it on a newer one.", facts.disabled)
    if not tells_of_graphs(known):
        return unknown(name, "CUDA graphs are built in, but this server does not say whether it uses them.")
    if not trial.profile.gpu_layers:
        return good(name, "CUDA graphs are built in; with no layer on the GPU none need be used.", figures)
    if trial.profile.kind == "embedding":
        return good(name, "CUDA graphs are built in; an embedding model need not use any.", figures)
    return bad(name, "CUDA graphs are built in, and none was used.", facts.disabled, figures)


def on_cpu(trial: Trial, facts: LogFacts) -> Finding:
    """Does an image for the CPU compute there?"""
    name = COMPUTES_ON
    buffers = (*facts.on("model"), *_cache(facts))
    elsewhere = [buffer for buffer in buffers if not buffer.device.startswith(_CPU)]
    if not buffers:
        return unknown(name, "Its log does not say where it computes.", facts.last[-3:])
    if elsewhere:
        return bad(name, f"It is labelled as for the CPU and computes on {elsewhere[0].device}.", _lines(elsewhere))
    if not trial.variant:
        return unknown(name, "It computes on the CPU; no label says whether it should.", _lines(buffers))
    return good(name, f"It says that it computes on the CPU, with {sum(one.size for one in buffers):.0f} MiB.")


def _lines(buffers: tuple[Buffer, ...] | list[Buffer]) -> tuple[str, ...]:
    return tuple(buffer.line for buffer in buffers)
