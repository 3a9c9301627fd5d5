"""For all tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# A shell that starts the tests in the background makes them, and so the programs that they interrupt, ignore SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no fault of the code, and the same tree is judged by the same examples;
# `HYPOTHESIS_PROFILE=search` looks for others.
settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(scope="session", autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests build, judge and measure is in no user's ledger."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("BUILDER_STATE", str(tmp_path_factory.mktemp("state")))
        yield
