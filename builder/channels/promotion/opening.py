"""All that tags are moved with, opened under the lock that keeps other processes from moving them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from builder.channels.ledger.ledger import open_ledger
from builder.channels.places.reach import Reach
from builder.channels.promotion.digests import EngineKind
from builder.channels.promotion.publishing import Publisher
from builder.channels.promotion.scene import Scene
from builder.channels.promotion.signer import Signer
from builder.config import Config
from builder.console import Reporter
from builder.engine.client import Engine
from builder.paths import Paths
from builder.process import Runner


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Tools:
    """What tags are moved with.

    Attributes:
        logs: folder of this run's logs.
        clock: tells the time.
    """

    engine: Engine
    runner: Runner
    reporter: Reporter
    paths: Paths
    config: Config
    logs: Path
    clock: Callable[[], datetime] = _now


@contextmanager
def opened(tools: Tools, *, alone: bool) -> Iterator[Scene]:
    """Where images are adopted.

    Args:
        alone: whether to be the only process that moves anything; others are waited for.

    Raises:
        LedgerError: the ledger cannot be used.
        MachineError: the engine does not answer, or the registry cannot be spoken to.
    """
    with ExitStack() as stack:
        ledger = stack.enter_context(open_ledger(tools.paths.ledger))
        held = (stack.enter_context(ledger.alone(tools.reporter.notice)),) if alone else ()
        insecure = tools.config.settings.registry.insecure
        reach = stack.enter_context(Reach(tools.engine, tools.runner, tools.paths.adoptions, insecure, held))
        if alone:
            reach.files.tidy()
        repository = tools.config.settings.registry.repository
        kind = EngineKind(tools.engine.architecture(), tools.engine.info().containerd_store)
        publisher = None
        if repository:
            publisher = Publisher(tools.engine, kind, reach.registry(repository), tools.logs / "registry.log")
        yield Scene(ledger, tools.config, reach, publisher, kind, tools.clock)


def signer_of(tools: Tools) -> Signer:
    """What signs, and what is asked of signatures.

    Raises:
        UsageError: a key has no path.
    """
    from builder.channels.cosign import Cosign
    from builder.channels.registry.transport import Trust
    from builder.channels.signing import Keys

    registry = tools.config.settings.registry
    cosign = Cosign(tools.runner, Trust(registry.insecure)) if registry.repository else None
    return Signer(Keys.of(tools.config), cosign)
