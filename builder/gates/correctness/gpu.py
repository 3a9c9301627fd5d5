"""Does a GPU compute the same without CUDA graphs, and the same as the CPU?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from builder.gates.correctness.asking import Responses, Stand
from builder.gates.correctness.comparison import Spelling
from builder.gates.correctness.judged import Steps, judge_cases, pairs
from builder.gates.correctness.tolerances import EXACT, Tolerance, of_caches
from builder.gates.finding import Finding, bad, unknown
from builder.server.flags import GRAPHS_OFF, tells_of_graphs
from builder.server.help import Help
from builder.server.log import LogFacts

NO_GRAPHS = "without CUDA graphs"
ON_CPU = "on the CPU"
_Said = TypeVar("_Said")
Again = Callable[[Stand, str], Responses[Steps] | Finding]
"""Asks all questions once more: of which server, and how it is called."""


def graphs(stand: Stand, served: Responses[Steps], again: Again, spell: Spelling = str) -> Iterator[Finding]:
    """Are answers the same without graphs, and does the log prove that there were some and then none?

    Nothing is said of a profile that turns graphs off itself.
    """
    environment = stand.trial.profile.environment
    if GRAPHS_OFF in environment:
        return
    without = again(stand.with_profile(environment={**environment, GRAPHS_OFF: "1"}), NO_GRAPHS)
    if isinstance(without, Finding):
        yield without
        return
    if unproven := graphs_unproven(served.facts, without.facts, stand.known):
        yield unproven
        return
    said = f"With and without CUDA graphs, of which {served.facts.warmed} were warmed up and then none"
    cases = pairs(without, served, EXACT, of_caches(stand.trial.profile))
    yield judge_cases("graphs", cases, said, spell)


def graphs_unproven(used: LogFacts, unused: LogFacts, known: Help) -> Finding | None:
    """What there is to say where logs do not prove that graphs were used by one server and by the other not."""
    if unused.warmed:
        return bad("graphs", f"{GRAPHS_OFF}=1 does not turn CUDA graphs off: {unused.warmed} were warmed up.")
    if used.warmed:
        return None
    if used.too_old_for_graphs:
        return unknown("graphs", "This GPU is too old for CUDA graphs: judge them on a newer one.", used.disabled)
    if not tells_of_graphs(known):
        return unknown("graphs", "This server does not say whether it uses CUDA graphs.")
    return bad("graphs", "No CUDA graph was used, so nothing shows whether they are right.", used.disabled)


def cpu(stand: Stand, served: Responses[Steps], again: Again, tolerance: Tolerance, spell: Spelling = str) -> Finding:
    """Does the GPU compute what the same image's CPU backend computes?"""
    reference = reference_of("cpu", stand, served, again)
    if isinstance(reference, Finding):
        return reference
    return judge_cases(
        "cpu", pairs(reference, served, tolerance, tolerance), "The GPU computes what the CPU does", spell
    )


def reference_of(
    name: str, stand: Stand, served: Responses[_Said], again: Callable[[Stand, str], Responses[_Said] | Finding]
) -> Responses[_Said] | Finding:
    """What the same image says on the CPU, to be compared with what it said on the GPU.

    Args:
        name: of the check.

    Returns:
        What keeps them from being compared, where logs do not prove that each computed where it should.
    """
    if astray := not_on_gpu(name, served.facts):
        return astray
    with stand.scene.cores:
        reference = again(without_gpu(stand), ON_CPU)
    if isinstance(reference, Finding):
        return reference
    strays = tuple(buffer.line for buffer in reference.facts.buffers if buffer.on_cuda and buffer.size > 0)
    if strays:
        return unknown(name, "Told to compute on the CPU, it computes on the GPU: nothing to compare.", strays)
    return reference


def not_on_gpu(name: str, facts: LogFacts) -> Finding | None:
    """What there is to say where a server's log does not prove that weights are on the GPU it was given."""
    weights = facts.on("model")
    if any(buffer.on_cuda for buffer in weights):
        return None
    if not weights:
        return unknown(name, "Its log does not say where the weights are, so nothing proves that the GPU computes.")
    lines = tuple(buffer.line for buffer in weights)
    return bad(name, "It was given a GPU and its log tells of no weights on it: it computes on the CPU.", lines)


def without_gpu(stand: Stand) -> Stand:
    """The same server on the CPU alone, with as much memory as there is, for its weights are there then.

    Servers before the end of 2024 cannot be told to use no device: they get no layers there, and see none.
    """
    profile = stand.trial.profile
    plain = stand.with_profile(gpu_layers=0, memory_limit="")
    if device := stand.known.find("--device"):
        return plain.with_profile(extra_arguments=(*profile.extra_arguments, device, "none"))
    return plain.with_profile(environment={**profile.environment, "CUDA_VISIBLE_DEVICES": ""})
