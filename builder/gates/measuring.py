"""What gates hand on to what measures."""

from __future__ import annotations

from builder.gates.gate import Scene
from builder.performance.tools import Tools


def tools_of(scene: Scene) -> Tools:
    """A gate's scene as measuring takes it."""
    return Tools(
        scene.engine,
        scene.runner,
        scene.reporter,
        scene.paths,
        scene.config,
        scene.logs,
        scene.gpu,
        scene.gpu_options,
    )
