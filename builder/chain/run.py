"""The chain: build, judge, promote, each as far as it is not done yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from time import monotonic

from builder import pipeline, promoting
from builder.chain.known import Known, look_up
from builder.chain.news import news
from builder.chain.report import Report
from builder.chain.wish import Wish, for_building, for_judging
from builder.channels.ledger.ledger import open_ledger
from builder.channels.promotion.opening import Tools
from builder.engine.images import Image
from builder.errors import BuilderError, MovedPartly, NothingMoved
from builder.gates.verdict import Outcome, Verdict
from builder.judging import open_case
from builder.plan.marks import OWN
from builder.recording import Recorder, verdict_entry

Hear = Callable[[Verdict], None]


def run(wish: Wish, tools: Tools, hear: Hear) -> Report:
    """From upstream to the adopted tag, or as far as is wished and as the image deserves.

    Args:
        hear: told each verdict as soon as it is in the ledger.

    Raises:
        BuilderError: nothing was built, or the machine lacks what judging takes.
    """
    return _Run(wish, tools, hear).report()


class _Run:
    """One run, with the clock of its stages."""

    def __init__(self, wish: Wish, tools: Tools, hear: Hear) -> None:
        self._wish = wish
        self._tools = tools
        self._hear = hear
        self._seconds: list[tuple[str, float]] = []
        info = tools.engine.info()
        self._containerd_store = info.containerd_store
        self._recorder = Recorder(tools.paths, tools.reporter, info.name)

    def report(self) -> Report:
        """Go through the stages."""
        with self._stage("build"):
            built = pipeline.build_image(self._wish.build, for_building(self._tools))
            image = self._tools.engine.image(built.image.id) or built.image
            self._keep(built, image)
        adopted = self._adopted(image)
        if built.verdict.outcome is not Outcome.PASS or self._wish.until == "built":
            return self._report(built, image, adopted)
        verdicts: tuple[Verdict, ...] = ()
        if adopted is None or adopted.id != image.id:
            with self._stage("judge"):
                verdicts = tuple(self._judge(image))
        if self._wish.until == "judged" or not all(verdict.outcome is Outcome.PASS for verdict in verdicts):
            return self._report(built, image, adopted, verdicts)
        with self._stage("promote"):
            promotion, refusal = self._promote(image)
        return self._report(built, image, adopted, verdicts, promotion, refusal)

    def _keep(self, built: pipeline.Result, image: Image) -> None:
        """Write the build and what the version gate said of it into the ledger."""
        self._recorder.build(built.plan, image, built.seconds, containerd_store=self._containerd_store)
        self._record(built.verdict, image)

    def _judge(self, image: Image) -> Iterator[Verdict]:
        """Ask what is still to be asked, and keep each answer before the next question."""
        known = self._known(image)
        if known.holds and self._wish.until == "promoted" and self._wish.promotion.force is None:
            return
        gates = known.to_ask(soak=self._wish.soak)
        self._tell(known, gates)
        if not gates:
            return
        profiles = tuple(self._tools.config.settings.profiles)
        case = open_case(image.id, gates, profiles, self._wish.gpus, for_judging(self._tools))
        with closing(case.verdicts()) as given:
            for verdict in given:
                self._record(verdict, image)
                self._hear(verdict)
                yield verdict

    def _tell(self, known: Known, gates: Sequence[str]) -> None:
        passed = dict.fromkeys(verdict.gate for verdict in reversed(known.said) if verdict.gate not in gates)
        notice = self._tools.reporter.notice
        if known.failed:
            notice(f"It failed {known.failed[0]} before; `builder judge IMAGE --gate {known.failed[0]}` asks again.")
        elif gates:
            notice(f"To be judged: {', '.join(gates)}." + (f" Known: {', '.join(passed)}." if passed else ""))
        else:
            notice(f"Judged before: {', '.join(passed)}.")

    def _promote(self, image: Image) -> tuple[promoting.Outcome | None, BuilderError | None]:
        try:
            return promoting.promote(image.id, self._wish.promotion, self._tools), None
        except (NothingMoved, MovedPartly) as error:
            return None, error

    def _adopted(self, image: Image) -> Image | None:
        return self._tools.engine.image(self._tools.config.settings.adopted(_variant(image)))

    def _record(self, verdict: Verdict, image: Image) -> None:
        entry = verdict_entry(verdict, image, datetime.now(UTC), self._tools.engine.info().name)
        self._recorder.verdict(entry, image, containerd_store=self._containerd_store)

    def _known(self, image: Image) -> Known:
        with open_ledger(self._tools.paths.ledger) as ledger:
            return look_up(ledger, image.id, _variant(image), self._tools.config.settings, self._tools.clock())

    def _report(
        self,
        built: pipeline.Result,
        image: Image,
        adopted: Image | None,
        verdicts: tuple[Verdict, ...] = (),
        promotion: promoting.Outcome | None = None,
        refusal: BuilderError | None = None,
    ) -> Report:
        return Report(
            until=self._wish.until,
            built=built,
            adopted=adopted,
            news=news(adopted, image, self._tools),
            verdicts=verdicts,
            known=self._known(image),
            promotion=promotion,
            refusal=refusal,
            seconds=tuple(self._seconds),
            recorded=not self._recorder.failed,
        )

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        started = monotonic()
        try:
            yield
        finally:
            self._seconds.append((name, monotonic() - started))


def _variant(image: Image) -> str:
    return image.labels.get(f"{OWN}variant", "")
