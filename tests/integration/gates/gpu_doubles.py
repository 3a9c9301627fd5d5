"""GPUs that are made up, and real things that tell of them and hand them out.

A CDI specification for a real engine, a library that NVIDIA's Python package loads as the driver's own, and nvidia-smi
on the host and in the container. Only the computing is missing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from builder.engine.client import Engine

NVML = r"""
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUCCESS 0
#define NOT_FOUND 6
#define INSUFFICIENT_SIZE 7
#define NOT_SUPPORTED 3
#define GPUS 2
#define MIB (1ULL << 20)

typedef struct { unsigned pid; unsigned long long memory; unsigned instance, compute; } process;
typedef struct { unsigned long long total, free, used; } memory;
typedef struct { unsigned gpu, memory; } utilisation;
typedef struct { int index; long looks; } gpu;

static gpu gpus[GPUS] = {{0, 0}, {1, 0}};

/* A figure in a file: <folder>/<gpu>.<name>; 0 where there is none. */
static unsigned long long figure(gpu *one, const char *name) {
    char path[4096];
    unsigned long long value = 0;
    int letter;
    snprintf(path, sizeof path, "%s/%d.%s", getenv("NVML_DOUBLE"), one->index, name);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    while (isdigit(letter = fgetc(file))) value = value * 10 + (letter - '0');
    fclose(file);
    return value;
}

static void uuid_of(gpu *one, char *uuid) {
    strcpy(uuid, "GPU-........-0000-4000-8000-000000000000");
    memset(uuid + 4, 'a' + one->index, 8);
}

/* Whether a process has this GPU in its environment, as its container got it from the engine. */
static int uses(gpu *one, const char *pid) {
    char path[300], uuid[64], wanted[128];
    char text[1 << 16];
    uuid_of(one, uuid);
    snprintf(wanted, sizeof wanted, "GPU_DOUBLE=%s", uuid);
    snprintf(path, sizeof path, "/proc/%s/comm", pid);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    if (size < 12 || memcmp(text, "llama-server", 12)) return 0;
    snprintf(path, sizeof path, "/proc/%s/environ", pid);
    if (!(file = fopen(path, "r"))) return 0;
    size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = 0;
    for (char *word = text; word < text + size; word += strlen(word) + 1)
        if (!strcmp(word, wanted)) return 1;
    return 0;
}

static unsigned long long grown(gpu *one) { return 1000 * MIB + figure(one, "growth") * one->looks; }

static int listed(gpu *one, unsigned *room, process *found) {
    process all[64];
    unsigned count = 0;
    struct dirent *entry;
    DIR *folder = opendir("/proc");
    while (folder && count < 60 && (entry = readdir(folder)))
        if (isdigit(entry->d_name[0]) && uses(one, entry->d_name))
            all[count++] = (process){(unsigned)atol(entry->d_name), grown(one), ~0u, ~0u};
    if (folder) closedir(folder);
    if (figure(one, "neighbour")) all[count++] = (process){(unsigned)figure(one, "neighbour"), 300 * MIB, ~0u, ~0u};
    if (count > *room || (count && !found)) { *room = count; return INSUFFICIENT_SIZE; }
    *room = count;
    if (count) memcpy(found, all, count * sizeof *all);
    return SUCCESS;
}

int nvmlInitWithFlags(unsigned flags) { (void)flags; return SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) { return code == NOT_FOUND ? "Not Found" : "Not Supported"; }
int nvmlDeviceGetHandleByUUID(const char *uuid, gpu **found) {
    for (int index = 0; index < GPUS; index++) {
        char own[64];
        uuid_of(&gpus[index], own);
        if (!strcmp(own, uuid)) { *found = &gpus[index]; return SUCCESS; }
    }
    return NOT_FOUND;
}
int nvmlDeviceGetClockInfo(gpu *one, int kind, unsigned *clock) { *clock = kind == 1 ? 1410 : 2619; return SUCCESS; }
int nvmlDeviceGetMaxClockInfo(gpu *one, int kind, unsigned *clock) { *clock = kind == 1 ? 1980 : 2619; return SUCCESS; }
int nvmlDeviceGetTemperature(gpu *one, int sensor, unsigned *value) { one->looks++; *value = 41; return SUCCESS; }
int nvmlDeviceGetPowerUsage(gpu *one, unsigned *value) { *value = 123456; return SUCCESS; }
int nvmlDeviceGetUtilizationRates(gpu *one, utilisation *value) { *value = (utilisation){17, 5}; return SUCCESS; }
int nvmlDeviceGetMemoryInfo(gpu *one, memory *value) {
    unsigned long long used = grown(one) + (figure(one, "neighbour") ? 300 * MIB : 0);
    *value = (memory){24000 * MIB, 24000 * MIB - used, used};
    return SUCCESS;
}
#ifdef OLD
int nvmlDeviceGetEnforcedPowerLimit(gpu *one, unsigned *value) { return NOT_SUPPORTED; }
int nvmlDeviceGetCurrentClocksThrottleReasons(gpu *one, unsigned long long *bits) { *bits = 0x24; return SUCCESS; }
int nvmlDeviceGetComputeRunningProcesses_v2(gpu *one, unsigned *room, process *all) { return listed(one, room, all); }
#else
int nvmlDeviceGetEnforcedPowerLimit(gpu *one, unsigned *value) { *value = 700000; return SUCCESS; }
int nvmlDeviceGetCurrentClocksEventReasons(gpu *one, unsigned long long *bits) { *bits = 0x5; return SUCCESS; }
int nvmlDeviceGetComputeRunningProcesses_v3(gpu *one, unsigned *room, process *all) { return listed(one, room, all); }
int nvmlDeviceGetGraphicsRunningProcesses_v3(gpu *one, unsigned *room, process *found) { *room = 0; return SUCCESS; }
#endif
"""


@dataclass(frozen=True)
class Double:
    """A GPU that is not there, as nvidia-smi, CDI and NVML tell of it."""

    index: int
    name: str
    uuid: str
    memory: int
    capability: str
    watts: int


L4 = Double(0, "NVIDIA L4", "GPU-aaaaaaaa-0000-4000-8000-000000000000", 23034, "8.9", 72)
H100 = Double(1, "NVIDIA H100 80GB HBM3", "GPU-bbbbbbbb-0000-4000-8000-000000000000", 81559, "9.0", 700)
DOUBLES = (L4, H100)
_IN_CONTAINER = '#!/bin/sh\n[ "$1" = -L ] && echo "GPU 0: $GPU_NAME (UUID: $GPU_DOUBLE)"\n'


def compile_nvml(engine: Engine, devel: str, folder: Path, *, old: bool = False) -> None:
    """Put the library where LD_LIBRARY_PATH can point.

    Args:
        devel: an image with a compiler.
        old: as drivers before 510 have it, with fewer questions.
    """
    flags = "-DOLD" if old else ""
    script = f"gcc -shared -fPIC -O1 -w {flags} -x c - -o /tmp/nvml.so && cat /tmp/nvml.so"
    words = ["run", "--rm", "--interactive", "--network", "none", "--entrypoint", "sh", devel, "-c", script]
    done = engine.ask(*words, stdin=NVML.encode(), timeout=120)
    assert done.returncode == 0, done.stderr
    (folder / "libnvidia-ml.so.1").write_bytes(done.raw)


def write_script(file: Path, text: str) -> Path:
    """A program."""
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)
    return file


def write_smi(folder: Path, driver: str = "580.65.06") -> None:
    """Let the host's nvidia-smi list the GPUs."""
    rows = (
        f"{one.index}, {one.name}, {one.uuid}, {one.memory}, {one.capability}, {driver}, "
        f"{one.watts}.00, {one.watts}.00, {one.watts}.00, Enabled"
        for one in DOUBLES
    )
    write_script(folder / "nvidia-smi", "#!/bin/sh\ncat <<'END'\n{}\nEND\n".format("\n".join(rows)))


def offer(specifications: Path, names: dict[str, Double], listing: str = _IN_CONTAINER) -> None:
    """Let CDI hand out GPUs.

    Args:
        names: which GPU comes under which name.
        listing: nvidia-smi in the container.
    """
    program = write_script(specifications / "nvidia-smi-in-container", listing)
    mount = {"hostPath": str(program), "containerPath": "/usr/bin/nvidia-smi", "options": ["ro", "bind"]}
    devices = [
        {"name": name, "containerEdits": {"env": [f"GPU_DOUBLE={one.uuid}", f"GPU_NAME={one.name}"]}}
        for name, one in names.items()
    ]
    whole = {"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": devices, "containerEdits": {"mounts": [mount]}}
    draft = specifications / "draft"
    draft.write_text(json.dumps(whole), encoding="utf-8")
    draft.replace(specifications / "nvidia.json")


def offer_all(specifications: Path) -> None:
    """Let CDI hand out each GPU by number and by UUID."""
    offer(specifications, {name: one for one in DOUBLES for name in (str(one.index), one.uuid)})
