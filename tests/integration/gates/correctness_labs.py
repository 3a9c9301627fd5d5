"""Real servers whose CPU backend computes one operation wrongly, and the gate that has to see it.

The backend's own functions are replaced by ones that call them with something else, by a library that is loaded before
all others; the layout of a tensor's beginning is ggml's since 2024.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from builder.config import Config, load
from builder.console import Reporter
from builder.engine.client import Engine
from builder.engine.images import Image
from builder.gates.correctness.gate import judge_correctness
from builder.gates.gate import Scene, Subject
from builder.gates.verdict import Verdict
from builder.paths import Paths
from builder.process import Runner
from builder.profiles import Profile

MISCALCULATION = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct tensor {
    int32_t type;
    void *buffer;
    int64_t ne[4];
    size_t nb[4];
    int32_t op;
    int32_t params[16];
    int32_t flags;
    struct tensor *src[10];
    struct tensor *view;
    size_t offset;
    char *data;
    char name[64];
    void *extra;
    char padding[8];
};

enum { HALF = 1, Q8_0 = 8 };

static long wanted(const char *name) {
    const char *value = getenv(name);
    return value ? atol(value) : 0;
}

static int note_backend(struct dl_phdr_info *info, size_t size, void *found) {
    if (!strstr(info->dlpi_name, "libggml-cpu")) return 0;
    strncpy(found, info->dlpi_name, 511);
    return 1;
}

static void *real(const char *name) {
    char path[512] = "";
    dl_iterate_phdr(note_backend, path);
    return dlsym(dlopen(path, RTLD_NOW | RTLD_NOLOAD), name);
}

void ggml_compute_forward_rope(const void *how, struct tensor *out) {
    static void (*ours)(const void *, struct tensor *);
    if (!ours) ours = real("ggml_compute_forward_rope");
    struct tensor other = *out;
    float *base = (float *)&other.params[5];
    if (wanted("ROPE_PAIRS")) other.params[2] ^= 2;
    if (wanted("ROPE_BASE")) *base *= 1 + wanted("ROPE_BASE") / 100.0f;
    ours(how, &other);
}

void ggml_compute_forward_rms_norm_mul_fused(const void *how, struct tensor *norm, struct tensor *product) {
    static void (*ours)(const void *, struct tensor *, struct tensor *);
    if (!ours) ours = real("ggml_compute_forward_rms_norm_mul_fused");
    struct tensor other = *norm, times = *product;
    for (int i = 0; i < 2; i++) if (times.src[i] == norm) times.src[i] = &other;
    float *epsilon = (float *)other.params;
    if (wanted("EPSILON")) *epsilon = 1e-5f;
    ours(how, &other, &times);
}

void ggml_compute_forward_norm(const void *how, struct tensor *out) {
    static void (*ours)(const void *, struct tensor *);
    if (!ours) ours = real("ggml_compute_forward_norm");
    struct tensor other = *out;
    float *epsilon = (float *)other.params;
    if (wanted("EPSILON")) *epsilon = 1e-5f;
    ours(how, &other);
}

void ggml_compute_forward_get_rows(const void *how, struct tensor *out) {
    static void (*ours)(const void *, struct tensor *);
    if (!ours) ours = real("ggml_compute_forward_get_rows");
    struct tensor other = *out, table = *out->src[0];
    if (wanted("OTHER_ROW") && table.type == HALF && table.ne[1] > 1000) table.nb[1] = 0;
    other.src[0] = &table;
    ours(how, &other);
}

void ggml_compute_forward_flash_attn_ext(const void *how, struct tensor *out) {
    static void (*ours)(const void *, struct tensor *);
    if (!ours) ours = real("ggml_compute_forward_flash_attn_ext");
    struct tensor other = *out, keys = *out->src[1], values = *out->src[2];
    other.src[1] = &keys;
    other.src[2] = &values;
    float *scale = (float *)other.params;
    if (wanted("SCALE")) *scale *= 1 + wanted("SCALE") / 100.0f;
    if (wanted("SCALE_LONG") && keys.ne[1] > 1024) *scale *= 1 + wanted("SCALE_LONG") / 100.0f;
    if (wanted("SCALE_Q8") && keys.type == Q8_0) *scale *= 1 + wanted("SCALE_Q8") / 100.0f;
    if (wanted("SCALE_MANY") && keys.ne[3] > 1) *scale *= 1 + wanted("SCALE_MANY") / 100.0f;
    if (wanted("OVERLOOK") && keys.ne[1] > 2 * wanted("OVERLOOK")) {
        keys.ne[1] -= wanted("OVERLOOK");
        values.ne[1] -= wanted("OVERLOOK");
    }
    if (wanted("RUBBISH")) *scale = 0.0f / *scale * (1e30f * 1e30f);
    ours(how, &other);
}
"""
"""What it is told by variables: `ROPE_PAIRS`, `ROPE_BASE` percent too much, `EPSILON` of its own, `OTHER_ROW` of the
embedding, `SCALE` of attention percent too much, the same only for `_LONG` contexts, `_Q8` caches or `_MANY` users at
once, `OVERLOOK` so many places at the end of the cache, `RUBBISH` that is no number.
"""


def scene_for(
    engine: Engine, runner: Runner, folder: Path, profiles: Mapping[str, Mapping[str, object]] | None = None
) -> Scene:
    """What the gate works with.

    Args:
        profiles: what profiles say otherwise than those of the same name, or as their kind, if that is their name.
    """
    return Scene(engine, runner, Reporter(), Paths.default(), _config(profiles or {}), folder)


def judge(image: Image, scene: Scene, *profiles: str, gpu_options: tuple[str, ...] = ()) -> Verdict:
    """The correctness gate's verdict.

    Args:
        profiles: which are served; the chat profile where none is named.
    """
    subject = Subject(next(iter(image.references), image.id), image)
    return judge_correctness(subject, replace(scene, gpu_options=gpu_options), profiles or ("chat",))


def _config(profiles: Mapping[str, Mapping[str, object]]) -> Config:
    config = load(None, {})
    changed = {name: _changed(config.settings.profiles, name, values) for name, values in profiles.items()}
    settings = config.settings.model_copy(update={"profiles": {**config.settings.profiles, **changed}})
    return replace(config, settings=settings, file=None)


def _changed(known: Mapping[str, Profile], name: str, values: Mapping[str, object]) -> Profile:
    kind = str(values.get("kind", name))
    return Profile.model_validate({**known[kind].model_dump(by_alias=True), **values})
