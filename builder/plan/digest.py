"""The one number that stands for everything that decides what a build gives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_DECIDING = ("tree", "platform", "variant", "cuda", "targets", "stamp", "recipe")
"""What counts as it is; plans of early builders lack some."""


def digest_of(plan: Mapping[str, Any]) -> str:
    """`sha256:...` over everything that decides the result; where the tree came from does not.

    Args:
        plan: a plan as its document has it.

    Raises:
        KeyError: something that every plan has is not there.
        TypeError: something is of another form than a plan's.
    """
    deciding = {
        **{name: plan[name] for name in _DECIDING if name in plan},
        "definitions": [f"-D{one['name']}={one['value']}" for one in plan["definitions"]],
        "devel": plan["bases"]["devel_id"],
        "runtime": plan["bases"]["runtime_id"],
    }
    if "patches" in plan:
        deciding["patches"] = plan["patches"]["digest"] if plan["patches"] else None
    text = json.dumps(deciding, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
