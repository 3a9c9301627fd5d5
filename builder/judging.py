"""Images before gates: cheap ones first, and nothing blamed on an image that the machine may have done."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from queue import SimpleQueue
from uuid import uuid4

from builder.channels.words import find_named
from builder.engine.gpu import Gpu
from builder.engine.gpu_choice import GpuChoice
from builder.errors import BuilderError, ExitCode, UsageError
from builder.gates.catalogue import NAMES, gates_of
from builder.gates.gate import Gate, Scene, Subject
from builder.gates.verdict import Outcome, Verdict, verdict_of
from builder.lanes import Lane, driver_refusal, open_lanes
from builder.plan.architectures import runs_on
from builder.plan.marks import OWN
from builder.plan.plan import Variant
from builder.process import without_credentials

_ABANDONED = 10.0
"""Seconds after which what a dead run left is removed: it may hold memory of a GPU that is to be judged on."""


@dataclass(frozen=True)
class Case:
    """An image that is to be judged.

    Attributes:
        gates: that are asked, cheap first.
        lanes: the GPUs that it is judged on, side by side; one without a GPU where it needs or gets none.
        control: the adopted image, which shows whether the machine is at fault; None where there is none.
        confirming: a failure that the machine may be at fault for is confirmed before it counts.
    """

    subject: Subject
    gates: tuple[Gate, ...]
    lanes: tuple[Lane, ...]
    control: Subject | None
    confirming: bool = True

    def verdicts(self) -> Generator[Verdict, None, None]:
        """Ask the gates; first those that need no machine, once, then the others on each GPU.

        On each GPU the first gate that does not pass ends it, for what is dearer would tell nothing new. GPUs are
        judged on side by side, and one after another by gates that have to be alone. Verdicts come as they are given.
        What happens to the machine meanwhile is a verdict too, so that none before it is lost. Whoever closes this ends
        what runs.

        Raises:
            UsageError: a profile names no model file.
        """
        cheap = tuple(gate for gate in self.gates if not gate.needs_machine)
        passed = True
        for verdict in judge_image(self.subject, cheap, self.lanes[0].without_gpu, self.control):
            yield verdict
            passed = passed and verdict.outcome is Outcome.PASS
        if not passed:
            return
        dear = tuple(gate for gate in self.gates if gate.needs_machine)
        if len(self.lanes) == 1:
            yield from self._judge_on(self.lanes[0], dear)
        else:
            yield from self._judge_on_all(dear)

    def by_gpu(self, verdicts: Iterable[Verdict]) -> list[Verdict]:
        """The verdicts GPU by GPU, in the order in which GPUs were asked for, those without one first."""
        order = {lane.scene.gpu.uuid: place for place, lane in enumerate(self.lanes, start=1) if lane.scene.gpu}

        def place(verdict: Verdict) -> int:
            gpus = verdict.machine.gpus if verdict.machine else ()
            return min((order.get(gpu.uuid, 0) for gpu in gpus), default=0)

        return sorted(verdicts, key=place)

    def exit_code(self, verdicts: Sequence[Verdict]) -> ExitCode:
        """The status that stands for verdicts: a failure's, of the first gate that failed; else whether all passed."""
        failed = {verdict.gate for verdict in verdicts if verdict.outcome is Outcome.FAIL}
        if code := next((gate.exit_code for gate in self.gates if gate.name in failed), None):
            return code
        passed = bool(verdicts) and all(verdict.outcome is Outcome.PASS for verdict in verdicts)
        return ExitCode.DONE if passed else ExitCode.UNJUDGED

    def _judge_on(self, lane: Lane, gates: Sequence[Gate]) -> Iterator[Verdict]:
        if lane.refusal and gates:
            yield _signed(_not_judged(gates[0], self.subject, lane.refusal), self.subject, lane.scene)
        else:
            yield from judge_image(self.subject, gates, lane.scene, self.control, confirming=self.confirming)

    def _judge_on_all(self, gates: Sequence[Gate]) -> Iterator[Verdict]:
        ended: set[int] = set()
        with closing(self._side_by_side([gate for gate in gates if not gate.alone])) as verdicts:
            for place, verdict in verdicts:
                yield verdict
                if verdict.outcome is not Outcome.PASS:
                    ended.add(place)
        alone = [gate for gate in gates if gate.alone]
        for lane in (lane for place, lane in enumerate(self.lanes) if place not in ended):
            yield from self._judge_on(lane, alone)

    def _side_by_side(self, gates: Sequence[Gate]) -> Generator[tuple[int, Verdict], None, None]:
        """Verdicts as they are given, each with the place of its lane."""
        if not gates:
            return
        told: SimpleQueue[tuple[int, Verdict] | BaseException | None] = SimpleQueue()

        def judge(place: int, lane: Lane) -> None:
            try:
                for verdict in self._judge_on(lane, gates):
                    told.put((place, verdict))
                told.put(None)
            except BaseException as error:  # noqa: BLE001 it is raised by the thread that waits for this one
                told.put(error)

        with ThreadPoolExecutor(len(self.lanes), thread_name_prefix="gpu") as pool:
            try:
                for place, lane in enumerate(self.lanes):
                    pool.submit(judge, place, lane)
                yield from _until_all_ended(told.get, len(self.lanes))
            except BaseException:
                self.lanes[0].scene.engine.end_all()
                raise


def open_case(image: str, gates: Sequence[str], profiles: Sequence[str], gpus: str, scene: Scene) -> Case:
    """Find all that judging an image takes, and remove what runs left behind that were killed.

    Args:
        image: by name, ID or digest.
        gates: their names; without any, all but performance and soak.
        profiles: what is served by the gates that serve something.
        gpus: `auto` (the first), `all`, `none`, or numbers and UUIDs such as `0,3`.

    Raises:
        UsageError: there is no such image, gate or GPU.
        MachineError: no engine answers.
    """
    chosen, choice = choose_gates(gates, profiles), GpuChoice.parse(gpus)
    subject = find_subject(scene, image)
    adopted = scene.config.settings.adopted(subject.image.labels.get(f"{OWN}variant", ""))
    control = find_subject(scene, adopted) if scene.engine.image(adopted) else None
    scene.engine.sweep(older_than=_ABANDONED)
    needed = any(gate.needs_machine for gate in chosen)
    return Case(subject, chosen, open_lanes(subject.image, choice, scene, needed=needed), control)


def choose_gates(names: Sequence[str], profiles: Sequence[str]) -> tuple[Gate, ...]:
    """The gates of these names in the order in which they are asked.

    Without a name it is all but performance and soak, which take long.

    Args:
        names: each one gate's, or several with commas between.
        profiles: what is served by the gates that serve something.

    Raises:
        UsageError: there is no such gate.
    """
    words = [word.strip() for name in names for word in name.split(",")]
    for word in words:
        if word not in NAMES:
            raise UsageError(f"There is no gate `{word}`.", f"Known: {', '.join(NAMES)}.")
    return gates_of(words, profiles)


def find_subject(scene: Scene, word: str) -> Subject:
    """The image of this machine's engine that a word means: the candidate, a tag of ours, or any name, ID or digest.

    Raises:
        UsageError: there is none, or several.
        MachineError: no engine answers.
    """
    return Subject(*find_named(scene.engine, scene.config.settings, word))


def judge_image(
    subject: Subject, gates: Sequence[Gate], scene: Scene, control: Subject | None, *, confirming: bool = True
) -> Iterator[Verdict]:
    """Ask gate after gate on one machine; the first that does not pass ends it.

    After one that could not be judged those are still asked that need no machine: they execute nothing. What happens to
    the machine is a verdict, for it tells nothing of the image.

    Args:
        control: the adopted image, which shows whether the machine is at fault; None where there is none.
        confirming: a failure that the machine may be at fault for is confirmed before it counts.
    """
    unjudged = False
    for gate in gates:
        if unjudged and gate.needs_machine:
            return
        verdict = _judge(gate, subject, scene, control, confirming=confirming)
        yield _signed(verdict, subject, scene)
        if verdict.outcome is Outcome.FAIL:
            return
        unjudged = unjudged or verdict.outcome is Outcome.UNJUDGED


def _until_all_ended(
    get: Callable[[], tuple[int, Verdict] | BaseException | None], running: int
) -> Iterator[tuple[int, Verdict]]:
    """What several threads tell, until each has said that it ended; an error of one is raised at once."""
    while running:
        told = get()
        if isinstance(told, BaseException):
            raise told
        if told is None:
            running -= 1
        else:
            yield told


def _judge(gate: Gate, subject: Subject, scene: Scene, control: Subject | None, *, confirming: bool) -> Verdict:
    verdict = _ask(gate, subject, scene)
    if verdict.outcome is Outcome.FAIL and gate.needs_machine and confirming and not gate.confirms:
        return _confirmed(verdict, gate, subject, scene, control)
    return verdict


def _ask(gate: Gate, subject: Subject, scene: Scene) -> Verdict:
    """What a gate says. What happens to the machine and a fault of the gate's own tell nothing of the image.

    Raises:
        UsageError: its profile names no model file.
    """
    try:
        return gate.judge(subject, scene)
    except UsageError:
        raise
    except BuilderError as error:
        return _not_judged(gate, subject, f"{error.cause} {error.remedy}")
    except Exception as error:  # noqa: BLE001 verdicts before it are not lost for a fault of one gate
        file = scene.logs / f"{gate.name}-error-{uuid4().hex[:8]}.txt"
        with suppress(OSError):
            file.write_text(without_credentials("".join(traceback.format_exception(error))), encoding="utf-8")
        reason = f"The gate ended with a {type(error).__name__} of its own, which tells nothing of the image."
        told = f"{reason} Report it with the file {file.name} of the logs, and judge again."
        return replace(_not_judged(gate, subject, told), logs=(str(file),) if file.exists() else ())


def _confirmed(verdict: Verdict, gate: Gate, subject: Subject, scene: Scene, control: Subject | None) -> Verdict:
    """What a failure is worth: once more on the image, then on the adopted one."""
    scene.reporter.notice(f"{gate.name}: {verdict.reasons[0]} Trying once more.")
    again = _ask(gate, subject, scene)
    logs = (*verdict.logs, *again.logs)
    if again.outcome is Outcome.UNJUDGED:
        return _doubted(verdict, f"It failed, and could not be confirmed: {again.reasons[0]}", logs)
    if again.outcome is Outcome.PASS:
        return _doubted(verdict, f"It failed once and then did not ({again.outcome.value}).", logs)
    if control is None or (unfair := _unfair(control, subject, scene.gpu)):
        reason = f"It failed twice; {unfair if control else 'there is no other adopted image to compare'}."
        return replace(again, reasons=(*again.reasons, reason), logs=logs)
    scene.reporter.notice(f"{gate.name}: failed twice. Trying {control.name}, which is adopted.")
    known = _ask(gate, control, scene)
    logs = (*logs, *known.logs)
    if reason := _at_fault(again, known, control.name):
        return replace(again, reasons=(*again.reasons, reason), logs=logs)
    if known.outcome is Outcome.UNJUDGED:
        reason = f"Nothing tells whether the machine is at fault: {control.name}, which is adopted, cannot be judged."
    else:
        reason = f"{control.name}, which is adopted, does not pass here either: the machine is at fault, not the image."
    return _doubted(again, f"{reason} {known.reasons[0]}", logs)


def _at_fault(verdict: Verdict, known: Verdict, name: str) -> str:
    """Why a failure is the image's own, as a sentence; empty where the adopted image's verdict leaves it in doubt.

    Only what fails on the adopted image too may be the machine's fault, by the names of the checks.

    Args:
        known: what the same gate said of the adopted image.
        name: of the adopted image.
    """
    if known.outcome is Outcome.PASS:
        return f"It failed twice, and {name} passes on this machine."
    failures, shared = _checks(verdict, Outcome.FAIL), _checks(known, Outcome.FAIL)
    if passes := [check for check in failures if check in _checks(known, Outcome.PASS) and check not in shared]:
        return f"It failed twice, and {name} passes {', '.join(passes)} on this machine; {_otherwise(known)}"
    if known.outcome is Outcome.FAIL and (own := [check for check in failures if check not in shared]):
        return f"It failed twice, and {name} does not fail at {', '.join(own)} on this machine; {_otherwise(known)}"
    return ""


def _otherwise(known: Verdict) -> str:
    checks = _checks(known, known.outcome)
    what = "fails at" if known.outcome is Outcome.FAIL else "cannot be judged by"
    return f"it {what} {', '.join(checks) or known.gate}: {known.reasons[0]}"


def _checks(verdict: Verdict, outcome: Outcome) -> tuple[str, ...]:
    """Names of the checks with an outcome, each once."""
    return tuple(dict.fromkeys(check.name for check in verdict.checks if check.outcome is outcome))


def _unfair(control: Subject, subject: Subject, gpu: Gpu | None) -> str:
    """Why the adopted image would tell nothing of the machine, as a clause; empty where it would."""
    if control.image.id == subject.image.id:
        return "it is the adopted image, and there is no other adopted image to compare"
    labels, adopted = control.image.labels, f"{control.name}, which is adopted,"
    variant = labels.get(f"{OWN}variant", "")
    if variant != subject.image.labels.get(f"{OWN}variant", ""):
        return f"{adopted} is of the variant {variant or 'unknown'} and tells nothing of this one"
    if gpu is None or variant != Variant.CUDA:
        return ""
    built_for = labels.get(f"{OWN}architectures", "")
    if gpu.compute_capability and built_for and not runs_on(built_for.split(","), gpu.compute_capability):
        return f"{adopted} is built for {built_for}, not for this GPU ({gpu.compute_capability}), and tells nothing"
    if refusal := driver_refusal(gpu, control.image):
        return f"{adopted} tells nothing here: {refusal.rstrip('.')}"
    return ""


def _doubted(verdict: Verdict, reason: str, logs: tuple[str, ...]) -> Verdict:
    return replace(verdict, outcome=Outcome.UNJUDGED, reasons=(reason, *verdict.reasons), logs=logs)


def _not_judged(gate: Gate, subject: Subject, reason: str) -> Verdict:
    measurements = {"profile": gate.profile} if gate.profile else {}
    blank = verdict_of(gate.name, subject.name, subject.image.id, (), measurements=measurements, seconds=0.0)
    return replace(blank, reasons=(reason,))


def _signed(verdict: Verdict, subject: Subject, scene: Scene) -> Verdict:
    """The verdict with what was judged, where, and the files that were left."""
    commands = scene.logs / "commands.sh"
    return replace(
        verdict,
        machine=scene.machine,
        manifest=subject.image.id if scene.machine and scene.machine.containerd_store else None,
        repository_digests=subject.image.repo_digests,
        logs=(*verdict.logs, *([str(commands)] if commands.exists() else [])),
    )
