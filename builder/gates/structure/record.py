"""Do the labels say what the build record says, and is each of them ours?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from builder.engine.images import Image
from builder.gates.structure.examined import Examined, listed
from builder.gates.structure.files import Files
from builder.gates.structure.secrets import is_secret
from builder.gates.verdict import Check, failed, passed, unjudged
from builder.plan.digest import digest_of
from builder.plan.marks import INHERITABLE, OWN, RECORD, STANDARD
from builder.secrets import STARS
from builder.source.patches.status import APPLIED
from builder.upstream.revision import Revision

_REBUILD = "Build it again with `builder build`."
_TITLE = "llama-server"
_NONE = "none"
_UNKNOWN = "unknown"


def is_ours(image: Image) -> bool:
    """Whether it says that it was made here."""
    return bool(image.labels.get(f"{OWN}plan"))


def check_record(examined: Examined) -> Iterator[Check]:
    """Checks about what the image says of itself."""
    text = examined.files.text(RECORD)
    if text is None:
        yield failed("record", f"The image holds no build record at {RECORD}, though its labels say that it is ours.")
        return
    try:
        document: Mapping[str, Any] = json.loads(text)
        plan: Mapping[str, Any] = document["plan"]
        wanted = {**_own(document, plan), **_standard(plan)}
        digest = digest_of(plan)
    except KeyError as error:
        yield unjudged("record", f"The build record at {RECORD} has another form than today's: no {error}. {_REBUILD}")
        return
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        yield failed("record", f"The build record at {RECORD} cannot be read: {error}. {_REBUILD}")
        return
    yield _true(plan, digest)
    yield _labels(examined.image.labels, wanted)
    yield _foreign(examined.image.labels, wanted)


def read_record(files: Files) -> Mapping[str, Any]:
    """The build record; empty where there is none that could be read, as the check of it says."""
    try:
        found = json.loads(files.text(RECORD) or "")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def base_of(record: Mapping[str, Any]) -> str | None:
    """The ID of the runtime base that a build record names; None where it names none."""
    try:
        found = record["bases"]["runtime"]
    except (KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def _own(document: Mapping[str, Any], plan: Mapping[str, Any]) -> Mapping[str, str]:
    revision = _revision(plan)
    own = {
        "version": document["builder"],
        "plan": plan["digest"],
        "tree": plan["tree"],
        "recipe": plan["recipe"],
        "variant": plan["variant"],
        "build-number": str(revision.build_number or _UNKNOWN),
        "commit": revision.described_commit(),
        "release": revision.release or _UNKNOWN,
        "cuda": plan["cuda"] or _NONE,
        "architectures": ",".join(plan["architectures"]) or _NONE,
        "features": ",".join(feature["name"] for feature in plan["features"]) or _NONE,
        **_patches(plan),
    }
    return {f"{OWN}{name}": value for name, value in own.items()}


def _patches(plan: Mapping[str, Any]) -> Mapping[str, str]:
    if "patches" not in plan:
        return {}
    queue = plan["patches"]
    if queue is None:
        return {"patches": _NONE, "patch-names": _NONE}
    laid = [patch["name"] for patch in queue["patches"] if patch["standing"] in APPLIED]
    return {"patches": queue["digest"], "patch-names": ",".join(laid)}


def _standard(plan: Mapping[str, Any]) -> Mapping[str, str]:
    revision = _revision(plan)
    standard = {
        "title": _TITLE,
        "revision": revision.described_commit(),
        "version": revision.name,
        "source": revision.origin,
        "base.name": plan["bases"]["runtime"],
        **dict.fromkeys(INHERITABLE, ""),
    }
    return {f"{STANDARD}{name}": value for name, value in standard.items()}


def _revision(plan: Mapping[str, Any]) -> Revision:
    known = {field.name for field in fields(Revision)}
    said = {name: value for name, value in plan["revision"].items() if name in known}
    committed = said.get("committed")
    return Revision(**{**said, "committed": datetime.fromisoformat(committed) if committed else None})


def _true(plan: Mapping[str, Any], digest: str) -> Check:
    if digest != plan["digest"]:
        return failed(
            "record",
            f"The build record contradicts itself: its inputs give the plan {digest[:19]}, it says "
            f"{str(plan['digest'])[:19]}. It was changed after the build. {_REBUILD}",
        )
    return passed("record", f"The build record's inputs give the plan {digest[:19]} that it names.")


def _labels(labels: Mapping[str, str], wanted: Mapping[str, str]) -> Check:
    wrong = [
        f"{name} is {_shown(labels.get(name, ''))}, the record says {_shown(value)}"
        for name, value in wanted.items()
        if labels.get(name, "") != value
    ]
    if wrong:
        return failed("labels", f"Labels are not what was built: {listed(wrong, 2)}. {_REBUILD}", tuple(wrong))
    return passed("labels", f"All {len(wanted)} labels say what the build record says.")


def _shown(value: str) -> str:
    return STARS if is_secret(value) else repr(value)


def _foreign(labels: Mapping[str, str], wanted: Mapping[str, str]) -> Check:
    ours = {*wanted, *(f"{STANDARD}{name}" for name in ("description", "created", "licenses", "base.digest"))}
    foreign = [name for name in labels if name.startswith((STANDARD, OWN)) and name not in ours]
    if foreign:
        return failed(
            "foreign-labels",
            f"Labels come from a base image or from elsewhere: {listed(sorted(foreign))}. {_REBUILD}",
            tuple(sorted(foreign)),
        )
    return passed("foreign-labels", "No label comes from a base image.")
