"""Does a server that chats compute what numpy computes, with the profile's caches and with plain ones?"""

from __future__ import annotations

from collections.abc import Iterator

from builder.gates.correctness.asking import Responses, Stand, ask_for_tokens
from builder.gates.correctness.expected import Foretold, foretold
from builder.gates.correctness.gpu import cpu, graphs
from builder.gates.correctness.judged import Case, Steps, judge_cases, pairs
from builder.gates.correctness.questions import Question, prompts
from builder.gates.correctness.tolerances import EXACT, of_caches
from builder.gates.finding import Finding
from builder.server.foresight import Step

AS_TOLD = "as the profile says"
PLAIN = "with f16 caches"
_PLAIN_TYPES = ("f16", "f32")


def judge_chat(stand: Stand) -> Iterator[Finding]:
    """Serve the tiny `llama` model as a profile says, with f16 caches and, on a GPU, without graphs and on the CPU."""
    model = foretold()
    questions = prompts(stand.trial.profile, model.vocabulary)
    with stand.scene.cores:
        expected = {question: model.answer(question) for question in questions}
    served = _query(stand, AS_TOLD, questions, model)
    if isinstance(served, Finding):
        yield served
        return
    profile = stand.trial.profile
    quantised = not {profile.cache_type_k, profile.cache_type_v} <= set(_PLAIN_TYPES)
    plain = (
        _query(stand.with_profile(cache_type_k="f16", cache_type_v="f16"), PLAIN, questions, model)
        if quantised
        else served
    )
    if isinstance(plain, Finding):
        yield plain
        return
    tolerance = of_caches(profile)
    cases = [Case(PLAIN, answer, expected[answer.question], EXACT) for answer in plain.answers]
    if quantised:
        cases += [Case(AS_TOLD, answer, expected[answer.question], tolerance) for answer in served.answers]
    yield judge_cases("reference", cases, "It computes what numpy does", model.spell)
    if quantised:
        types = "/".join(dict.fromkeys((profile.cache_type_k, profile.cache_type_v)))
        said = f"Caches of {types} do what f16 ones do"
        yield judge_cases("caches", pairs(plain, served, tolerance, tolerance), said, model.spell)
    if stand.trial.on_gpu:
        yield from _on_gpu(stand, served, questions, model)


def _on_gpu(
    stand: Stand, served: Responses[Steps], questions: tuple[Question, ...], model: Foretold
) -> Iterator[Finding]:
    def again(other: Stand, label: str) -> Responses[Steps] | Finding:
        return _query(other, label, questions, model)

    yield from graphs(stand, served, again, model.spell)
    yield cpu(stand, served, again, of_caches(stand.trial.profile), model.spell)


def _query(
    stand: Stand, label: str, questions: tuple[Question, ...], model: Foretold
) -> Responses[tuple[Step, ...]] | Finding:
    responses = stand.query(label, ask_for_tokens(questions))
    return responses if isinstance(responses, Finding) else responses.each(model.numbered)
