"""The order of the gates, GPUs side by side, and what a failure is worth on a machine that may be at fault."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Barrier, Event, Lock

import pytest

from builder.config import load
from builder.console import Reporter
from builder.engine.client import Engine
from builder.engine.gpu import Gpu
from builder.engine.images import Image
from builder.engine.machine_facts import MachineFacts
from builder.engine.throwaway import RunEnded
from builder.errors import ExitCode, MachineError, UsageError
from builder.gates.catalogue import NAMES
from builder.gates.gate import Scene, Subject
from builder.gates.verdict import Check, Outcome, Verdict, verdict_of
from builder.judging import Case, choose_gates, judge_image
from builder.lanes import Lane
from builder.paths import Paths
from builder.plan.marks import OWN
from builder.process import Runner

PASS, FAIL, UNJUDGED = Outcome.PASS, Outcome.FAIL, Outcome.UNJUDGED


@dataclass
class Scripted:
    """A gate that says what it is told to, in turn, for each image."""

    answers: dict[str, list[Outcome | Exception]]
    needs_machine: bool = True
    profile: str | None = None
    confirms: bool = False
    name: str = "scripted"
    exit_code: ExitCode = ExitCode.STRUCTURE
    asked: list[str] = field(default_factory=list)
    alone: bool = False

    def judge(self, subject: Subject, _scene: Scene) -> Verdict:
        self.asked.append(subject.name)
        outcome = self.answers[subject.name].pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return Verdict(self.name, outcome, subject.name, subject.image.id, (f"{outcome.value}.",), {}, 0.0)


def subject(name: str) -> Subject:
    return Subject(name, Image(f"sha256:{name}", (name,), (), 0, {}, (), "", "amd64"))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    runner = Runner()
    return Scene(Engine(runner), runner, Reporter(), Paths(tmp_path), load(environ={}), tmp_path)


def judged(gate: Scripted, scene: Scene, control: Subject | None = None) -> Verdict:
    (verdict,) = judge_image(subject("new"), [gate], scene, control)
    return verdict


@pytest.mark.parametrize(
    ("new", "adopted", "outcome", "asked"),
    [
        ([PASS], [], PASS, ["new"]),
        ([FAIL, PASS], [], UNJUDGED, ["new", "new"]),
        ([FAIL, FAIL], [PASS], FAIL, ["new", "new", "old"]),
        ([FAIL, FAIL], [FAIL], UNJUDGED, ["new", "new", "old"]),
        ([FAIL, FAIL], [UNJUDGED], UNJUDGED, ["new", "new", "old"]),
        ([UNJUDGED], [], UNJUDGED, ["new"]),
    ],
)
def test_failure_is_pinned_on_the_image_only_where_the_adopted_one_passes(
    scene: Scene,
    new: list[Outcome | Exception],
    adopted: list[Outcome | Exception],
    outcome: Outcome,
    asked: list[str],
) -> None:
    gate = Scripted({"new": new, "old": adopted})
    assert judged(gate, scene, subject("old")).outcome is outcome
    assert gate.asked == asked


def test_a_fault_of_a_gate_tells_nothing_of_the_image_and_leaves_its_trace(scene: Scene, tmp_path: Path) -> None:
    gates = (
        Scripted({"new": [PASS]}, name="before"),
        Scripted({"new": [KeyError("token")]}, name="broken"),
        Scripted({"new": [PASS]}, needs_machine=False, name="after"),
    )
    verdicts = tuple(judge_image(subject("new"), gates, scene, None))
    assert [(one.gate, one.outcome) for one in verdicts] == [("before", PASS), ("broken", UNJUDGED), ("after", PASS)]
    assert verdicts[1].reasons[0].startswith("The gate ended with a KeyError of its own")
    (trace,) = verdicts[1].logs
    assert Path(trace).parent == tmp_path
    assert "KeyError: 'token'" in Path(trace).read_text()


def test_a_profile_that_names_no_file_is_the_users_error(scene: Scene) -> None:
    with pytest.raises(UsageError, match="no such model"):
        judged(Scripted({"new": [UsageError("There is no such model.", "Name one.")]}), scene)


@pytest.mark.parametrize("trouble", [MachineError("The engine hangs.", "Restart it."), RuntimeError("odd")])
def test_a_failure_that_could_not_be_confirmed_is_kept_with_what_showed_it(scene: Scene, trouble: Exception) -> None:
    class Breaking(Checking):
        def judge(self, subject: Subject, scene: Scene) -> Verdict:
            if "start" not in self.checks[subject.name]:
                raise trouble
            verdict = super().judge(subject, scene)
            self.checks[subject.name] = {}
            return replace(verdict, logs=("first.log",))

    (verdict,) = judge_image(subject("new"), [Breaking({"new": {"start": FAIL}})], scene, subject("old"))
    assert verdict.outcome is UNJUDGED
    assert verdict.reasons[0].startswith("It failed, and could not be confirmed: The ")
    assert verdict.reasons[1] == "start: fail."
    assert [check.name for check in verdict.checks] == ["start"]
    assert verdict.logs[0] == "first.log"


def test_an_adopted_image_that_brings_trouble_does_not_take_the_failure_away(scene: Scene) -> None:
    gate = Scripted({"new": [FAIL, FAIL], "old": [MachineError("The engine hangs.", "Restart it.")]})
    verdict = judged(gate, scene, subject("old"))
    assert verdict.outcome is UNJUDGED
    assert verdict.reasons == (
        (
            "Nothing tells whether the machine is at fault: old, which is adopted, cannot be judged. The engine hangs. "
            "Restart it."
        ),
        "fail.",
    )


def test_without_an_adopted_image_two_failures_are_a_failure(scene: Scene) -> None:
    verdict = judged(Scripted({"new": [FAIL, FAIL]}), scene)
    assert verdict.outcome is FAIL
    assert "no other adopted image" in verdict.reasons[-1]


@pytest.mark.parametrize("profile", ["chat", None])
def test_what_was_not_judged_says_which_profile_it_would_have_served(scene: Scene, profile: str | None) -> None:
    gate = OnGpus(_lost, profile=profile)
    verdict = next(Case(subject("new"), (gate,), (lane(scene, 0),), None).verdicts())
    assert verdict.outcome is UNJUDGED
    assert verdict.measurements.get("profile") == profile


def test_failure_that_no_machine_can_be_blamed_for_is_one_at_once(scene: Scene) -> None:
    gate = Scripted({"new": [FAIL]}, needs_machine=False)
    assert judged(gate, scene).outcome is FAIL
    assert gate.asked == ["new"]


def test_failure_that_a_gate_has_confirmed_itself_is_one_at_once(scene: Scene) -> None:
    gate = Scripted({"new": [FAIL]}, confirms=True)
    assert judged(gate, scene, subject("old")).outcome is FAIL
    assert gate.asked == ["new"]


def test_performance_is_asked_for_by_name_alone_once_for_each_profile() -> None:
    assert "performance" not in {gate.name for gate in choose_gates((), ("chat", "embedding"))}
    gates = choose_gates(("performance",), ("chat", "embedding"))
    assert [(gate.name, gate.exit_code, gate.confirms) for gate in gates] == [("performance", 14, True)] * 2


@pytest.mark.parametrize(
    ("outcomes", "machine", "said"),
    [
        ((PASS, FAIL, PASS), False, [PASS, FAIL]),
        ((PASS, UNJUDGED, PASS), True, [PASS, UNJUDGED]),
        ((UNJUDGED, FAIL, PASS), False, [UNJUDGED, FAIL]),
        ((UNJUDGED, PASS, PASS), True, [UNJUDGED, PASS]),
    ],
)
def test_first_gate_that_does_not_pass_is_the_last_but_for_those_that_execute_nothing(
    scene: Scene, outcomes: tuple[Outcome, ...], machine: bool, said: list[Outcome]
) -> None:
    gates = [Scripted({"new": [outcome]}, needs_machine=False) for outcome in outcomes]
    gates[2].needs_machine = machine
    verdicts = tuple(judge_image(subject("new"), gates, scene, None))
    assert [verdict.outcome for verdict in verdicts] == said
    assert gates[2].asked == []


def test_a_failure_decides_over_what_could_not_be_judged_before_it(scene: Scene) -> None:
    gates = (
        Scripted({"new": [UNJUDGED]}, needs_machine=False, name="version", exit_code=ExitCode.VERSION),
        Scripted({"new": [FAIL]}, needs_machine=False, name="structure", exit_code=ExitCode.STRUCTURE),
        Scripted({"new": [PASS]}, name="smoke", exit_code=ExitCode.SMOKE),
    )
    whole = Case(subject("new"), gates, (Lane(scene),), None)
    verdicts = tuple(whole.verdicts())
    assert [verdict.gate for verdict in verdicts] == ["version", "structure"]
    assert whole.exit_code(verdicts) == ExitCode.STRUCTURE


@dataclass
class Checking:
    """A gate whose checks come out as it is told, for each image."""

    checks: dict[str, dict[str, Outcome]]
    needs_machine: bool = True
    profile: str | None = None
    confirms: bool = False
    name: str = "checking"
    exit_code: ExitCode = ExitCode.SMOKE
    alone: bool = False

    def judge(self, subject: Subject, _scene: Scene) -> Verdict:
        checks = [Check(name, outcome, f"{name}: {outcome}.") for name, outcome in self.checks[subject.name].items()]
        return verdict_of(self.name, subject.name, subject.image.id, checks, measurements={}, seconds=0.0)


@pytest.mark.parametrize(
    ("new", "old", "outcome", "said"),
    [
        ({"start": FAIL}, {"start": FAIL}, UNJUDGED, "the machine is at fault"),
        ({"start": FAIL}, {"start": FAIL, "log": FAIL}, UNJUDGED, "the machine is at fault"),
        ({"start": FAIL}, {"start": PASS, "log": FAIL}, FAIL, "old passes start on this machine; it fails at log: log"),
        ({"start": FAIL, "log": FAIL}, {"start": PASS, "log": FAIL}, FAIL, "old passes start on this machine"),
        ({"log": FAIL}, {"start": FAIL}, FAIL, "old does not fail at log on this machine; it fails at start"),
        ({"start": FAIL}, {"start": PASS, "graphs": UNJUDGED}, FAIL, "it cannot be judged by graphs: graphs"),
        ({"start": FAIL}, {"start": UNJUDGED}, UNJUDGED, "Nothing tells whether the machine is at fault"),
    ],
)
def test_only_what_fails_on_the_adopted_image_too_may_be_the_machines_fault(
    scene: Scene, new: dict[str, Outcome], old: dict[str, Outcome], outcome: Outcome, said: str
) -> None:
    (verdict,) = judge_image(subject("new"), [Checking({"new": new, "old": old})], scene, subject("old"))
    assert verdict.outcome is outcome
    assert said in verdict.reasons[-1 if outcome is FAIL else 0]


@pytest.mark.parametrize(
    ("architectures", "cuda", "said"),
    [
        ("86-real,80-real", "12.4", "is built for 86-real,80-real, not for this GPU (9.0)"),
        ("90-real", "99.0", "tells nothing here: Driver 580.1 serves CUDA up to 13.0; this image needs 99.0"),
        ("90-real", "12.4", ""),
    ],
)
def test_an_adopted_image_that_cannot_run_on_the_gpu_is_no_excuse(
    scene: Scene, architectures: str, cuda: str, said: str
) -> None:
    labels = {f"{OWN}variant": "cuda", f"{OWN}architectures": architectures, f"{OWN}cuda": cuda}
    new, old = (
        replace(one, image=replace(one.image, labels={**labels, f"{OWN}architectures": given, f"{OWN}cuda": release}))
        for one, given, release in ((subject("new"), "90-real", "12.4"), (subject("old"), architectures, cuda))
    )
    gate = Scripted({"new": [FAIL, FAIL], "old": [FAIL]})
    (verdict,) = judge_image(new, [gate], lane(scene, 0).scene, old)
    assert verdict.outcome is (FAIL if said else UNJUDGED)
    assert said in verdict.reasons[-1]
    assert ("old" in gate.asked) is not bool(said)


@dataclass
class OnGpus:
    """A gate that does something else on each GPU."""

    on: Callable[[int], Outcome]
    needs_machine: bool = True
    profile: str | None = None
    confirms: bool = False
    name: str = "on-gpus"
    exit_code: ExitCode = ExitCode.SMOKE
    asked: list[int | None] = field(default_factory=list)
    alone: bool = False

    def judge(self, subject: Subject, scene: Scene) -> Verdict:
        self.asked.append(scene.gpu.index if scene.gpu else None)
        outcome = self.on(scene.gpu.index) if scene.gpu else PASS
        return Verdict(self.name, outcome, subject.name, subject.image.id, (f"{outcome.value}.",), {}, 0.0)


def _lost(_index: int) -> Outcome:
    raise MachineError("The engine hangs.", "Restart it.")


def lane(scene: Scene, index: int, refusal: str = "") -> Lane:
    gpu = Gpu(index, "GPU", f"GPU-{index}", 1, "9.0", "580.1")
    machine = MachineFacts("", 1, 1, "Linux", "6", "28", containerd_store=False, gpus=(gpu,))
    return Lane(replace(scene, machine=machine), refusal)


def case(gates: list[OnGpus], *lanes: Lane) -> tuple[Case, list[tuple[str, list[int], Outcome]]]:
    """What is judged, and each verdict's gate, GPUs and outcome."""
    whole = Case(subject("new"), tuple(gates), lanes, None)
    verdicts = whole.by_gpu(whole.verdicts())
    return whole, [
        (one.gate, [gpu.index for gpu in one.machine.gpus] if one.machine else [], one.outcome) for one in verdicts
    ]


def test_gpus_are_judged_side_by_side_and_what_needs_none_once(scene: Scene) -> None:
    together = Barrier(2, timeout=60)

    def meet(_index: int) -> Outcome:
        together.wait()
        return PASS

    cheap, dear = OnGpus(lambda _: PASS, needs_machine=False, name="cheap"), OnGpus(meet)
    _, verdicts = case([cheap, dear], lane(scene, 0), lane(scene, 3))
    assert verdicts == [("cheap", [], PASS), ("on-gpus", [0], PASS), ("on-gpus", [3], PASS)]
    assert cheap.asked == [None]


def test_verdicts_come_as_they_are_given_and_not_gpu_by_gpu(scene: Scene) -> None:
    seen = Event()

    def last(index: int) -> Outcome:
        assert index or seen.wait(60)
        return PASS

    whole = Case(subject("new"), (OnGpus(last),), (lane(scene, 0), lane(scene, 3)), None)
    verdicts = whole.verdicts()
    first = next(verdicts)
    seen.set()
    given = [first, *verdicts]
    places = [[gpu.index for gpu in one.machine.gpus] if one.machine else [] for one in given]
    assert places == [[3], [0]]
    assert whole.by_gpu(given) == given[::-1]


def test_verdicts_that_were_given_are_out_before_the_user_is_told_of_an_error_on_another_gpu(scene: Scene) -> None:
    kept = Event()

    def err(index: int) -> Outcome:
        if index:
            return PASS
        assert kept.wait(60)
        raise UsageError("There is no such model.", "Name one.")

    verdicts = Case(subject("new"), (OnGpus(err),), (lane(scene, 0), lane(scene, 3)), None).verdicts()
    assert next(verdicts).outcome is PASS
    kept.set()
    with pytest.raises(UsageError):
        next(verdicts)


def test_gates_that_have_to_be_alone_are_asked_gpu_after_gpu_where_those_before_them_passed(scene: Scene) -> None:
    held, together = Lock(), Barrier(3, timeout=60)

    def meet(index: int) -> Outcome:
        together.wait()
        return FAIL if index == 1 else PASS

    def measure(_index: int) -> Outcome:
        assert held.acquire(blocking=False), "two at once"
        try:
            return PASS
        finally:
            held.release()

    first = OnGpus(meet, confirms=True)
    second, third = (OnGpus(measure, alone=True, name=name) for name in ("second", "third"))
    _, verdicts = case([first, second, third], lane(scene, 0), lane(scene, 1), lane(scene, 2))
    assert verdicts == [
        *(("on-gpus", [0], PASS), ("second", [0], PASS), ("third", [0], PASS)),
        ("on-gpus", [1], FAIL),
        *(("on-gpus", [2], PASS), ("second", [2], PASS), ("third", [2], PASS)),
    ]
    assert (second.asked, third.asked) == ([0, 2], [0, 2])
    _, verdicts = case([second], lane(scene, 0, "Containers do not get it."), lane(scene, 1))
    assert verdicts == [("second", [0], UNJUDGED), ("second", [1], PASS)]


def test_what_measures_has_to_be_alone_and_what_looks_need_not() -> None:
    gates = choose_gates(NAMES, ("chat",))
    assert [gate.name for gate in gates if gate.alone] == ["performance", "soak"]


def test_a_failure_on_one_gpu_ends_that_one_and_decides(scene: Scene) -> None:
    first, second = OnGpus(lambda index: FAIL if index == 3 else PASS), OnGpus(lambda _: UNJUDGED, name="second")
    judged_case, verdicts = case([first, second], lane(scene, 0), lane(scene, 3))
    assert verdicts == [("on-gpus", [0], PASS), ("second", [0], UNJUDGED), ("on-gpus", [3], FAIL)]
    whole = [Verdict(name, outcome, "new", None, (), {}, 0.0) for name, _, outcome in verdicts]
    assert judged_case.exit_code(whole) == ExitCode.SMOKE
    assert judged_case.exit_code(whole[:2]) == ExitCode.UNJUDGED
    assert judged_case.exit_code(whole[:1]) == ExitCode.DONE
    assert judged_case.exit_code([]) == ExitCode.UNJUDGED


def test_a_gpu_that_containers_do_not_get_is_not_judged_on(scene: Scene) -> None:
    gate = OnGpus(lambda _: PASS)
    _, verdicts = case([gate], lane(scene, 0, "Containers do not get it."), lane(scene, 1))
    assert verdicts == [("on-gpus", [0], UNJUDGED), ("on-gpus", [1], PASS)]
    assert gate.asked == [1]


def test_what_happens_to_a_gpu_is_a_verdict_and_keeps_those_before_it(scene: Scene) -> None:
    def lose(index: int) -> Outcome:
        if index:
            return PASS
        raise MachineError("The engine hangs.", "Restart it.")

    _, verdicts = case([OnGpus(lose)], lane(scene, 0), lane(scene, 1))
    assert verdicts == [("on-gpus", [0], UNJUDGED), ("on-gpus", [1], PASS)]
    _, verdicts = case([OnGpus(lambda _: PASS, name="first"), OnGpus(lose)], lane(scene, 0))
    assert verdicts == [("first", [0], PASS), ("on-gpus", [0], UNJUDGED)]


def test_an_interruption_ends_the_engine_for_all(scene: Scene) -> None:
    ended = Event()

    class Recording(Engine):
        def end_all(self) -> None:
            super().end_all()
            ended.set()

    def wait_for_the_end(index: int) -> Outcome:
        if not index:
            raise KeyboardInterrupt
        assert ended.wait(60)
        return PASS

    own = replace(scene, engine=Recording(Runner()))
    with pytest.raises(KeyboardInterrupt):
        case([OnGpus(wait_for_the_end)], lane(own, 0), lane(own, 1))
    with pytest.raises(RunEnded):
        own.engine.run_once("any", [], timeout=1)


def test_whoever_stops_listening_ends_what_runs_on_other_gpus(scene: Scene) -> None:
    ended = Event()

    class Recording(Engine):
        def end_all(self) -> None:
            super().end_all()
            ended.set()

    def wait_for_the_end(index: int) -> Outcome:
        assert not index or ended.wait(60)
        return PASS

    own = replace(scene, engine=Recording(Runner()))
    whole = Case(subject("new"), (OnGpus(wait_for_the_end),), (lane(own, 0), lane(own, 1)), None)
    with closing(whole.verdicts()) as verdicts:
        assert next(verdicts).outcome is PASS
        assert not ended.is_set()
    assert ended.is_set()


def test_gates_are_asked_cheap_first_whatever_the_order_of_the_words() -> None:
    assert [gate.name for gate in choose_gates(["structure", "version"], ["chat"])] == ["version", "structure"]
    with pytest.raises(UsageError, match="There is no gate `speed`"):
        choose_gates(["speed"], [])
