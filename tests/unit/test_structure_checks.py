"""What checks say of images that are made up here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import pytest

from builder.engine.images import Image
from builder.gates.structure.configuration import check_configuration
from builder.gates.structure.elf import Binary
from builder.gates.structure.examined import Examined
from builder.gates.structure.fatbin import Code, Form
from builder.gates.structure.files import File, FileKind, Files
from builder.gates.structure.layers import Layers
from builder.gates.structure.libraries import DRIVER, check_libraries
from builder.gates.structure.machine_code import check_machine_code
from builder.gates.structure.permissions import check_permissions
from builder.gates.structure.record import check_record, read_record
from builder.gates.structure.secrets import check_secrets
from builder.gates.structure.tokens import holds_secret
from builder.gates.verdict import Check, Outcome, verdict_of
from builder.plan.marks import FOLDER, OWN, RECORD, STANDARD

LIBRARY = f"{FOLDER}/libggml-cuda.so"


def code(name: str) -> Code:
    form, _, rest = name.partition("_")
    digits = rest.rstrip("af")
    return Code(int(digits), rest.removeprefix(digits), Form(form))


def examined(
    *,
    labels: Mapping[str, str] | None = None,
    environment: tuple[str, ...] = (),
    history: tuple[str, ...] | None = (),
    files: Files | None = None,
    base: Files | None = None,
    layers: Layers | None = None,
) -> Examined:
    image = Image("sha256:0", (), (), 1, labels or {}, (), "", "amd64")
    config: Mapping[str, Any] = {"Env": list(environment)}
    return Examined(image, config, history, files or Files({}), lambda: base, lambda: layers or Layers(1, 0, ()))


def with_code(asked: str, held: str, unread: str = "") -> Examined:
    binary = Binary(64, "x86-64", code=tuple(sorted(map(code, held.split()))), code_unread=unread)
    nvidias = Binary(64, "x86-64", code=(code("sm_75"),), code_unread="of a later form")
    names = {LIBRARY: binary, f"{FOLDER}/libcublas.so.13": nvidias}
    entries = {path: File(path, FileKind.FILE, 0o755, 0, 0, 1) for path in names}
    entries.update({path: File(path, FileKind.FOLDER, 0o755, 0, 0, 0) for path in ("/opt", FOLDER)})
    labels = {f"{OWN}variant": "cuda", f"{OWN}architectures": asked}
    return examined(labels=labels, files=Files(entries, binaries=names))


def covered(asked: str, held: str, unread: str = "") -> Check:
    return list(check_machine_code(with_code(asked, held, unread)))[-1]


@pytest.mark.parametrize(
    ("asked", "held"),
    [
        ("90-real", "sm_90"),
        ("90-virtual", "compute_90"),
        ("90", "sm_90 compute_90"),
        ("120-real", "sm_120a"),
        ("120a-real,121-virtual", "sm_120a compute_121a"),
        ("75-real,86-real,90-virtual", "sm_75 sm_86 compute_90 sm_89"),
    ],
)
def test_code_for_all_that_was_asked_for_passes(asked: str, held: str) -> None:
    assert covered(asked, held).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("asked", "held", "sentence"),
    [
        ("86-real", "sm_90", "holds code for sm_90 only; asked for was sm_86: GPUs of that kind"),
        ("90-real", "compute_90", "holds code for compute_90 (PTX) only; asked for was sm_90: "),
        ("90", "sm_90", "holds code for sm_90 only; asked for was sm_90 with PTX: "),
        ("90-virtual", "sm_90", "asked for was compute_90 (PTX): GPUs later than"),
        ("90a-real", "sm_90", "asked for was sm_90a: "),
        ("90-real", "sm_90a", "holds code for sm_90a only; asked for was sm_90: "),
        (
            "75-real,86-real",
            "sm_86 compute_90",
            "holds code for sm_86 and compute_90 (PTX) only; asked for was sm_75: ",
        ),
        ("90-real", "", "holds code for no architecture; asked for was sm_90: "),
    ],
)
def test_code_that_is_not_there_is_named(asked: str, held: str, sentence: str) -> None:
    check = covered(asked, held) if held else _without_code(asked)
    assert check.outcome is Outcome.FAIL
    assert sentence in check.detail


def _without_code(asked: str) -> Check:
    made = with_code(asked, "sm_90")
    binaries = {LIBRARY: Binary(64, "x86-64", needed=("libcudart.so.13",))}
    files = Files(made.files.entries, binaries=binaries)
    return list(check_machine_code(examined(labels=made.image.labels, files=files)))[-1]


def test_code_beyond_what_was_asked_for_is_noted() -> None:
    assert "besides what was asked for: compute_90, sm_89." in covered("90-real", "sm_90 sm_89 compute_90").detail


@pytest.mark.parametrize("asked", ["", "none", "native", "90-real,all"])
def test_a_label_that_names_no_architecture_cannot_be_judged(asked: str) -> None:
    assert covered(asked, "sm_90").outcome is Outcome.UNJUDGED


def test_code_of_an_unknown_form_cannot_be_judged() -> None:
    assert covered("90-real", "sm_90", "byte 0 begins no fat binary").outcome is Outcome.UNJUDGED


@pytest.mark.parametrize(
    ("name", "is_drivers"),
    [
        ("libcuda.so.1", True),
        ("libcuda.so", True),
        ("libnvidia-ml.so.1", True),
        ("libnvidia-ptxjitcompiler.so.580.1", True),
        ("libnvcuvid.so.1", True),
        ("libcudart.so.13", False),
        ("libcublas.so.13", False),
        ("libggml-cuda.so", False),
        ("libcuda.sorry", False),
    ],
)
def test_the_drivers_libraries_are_told_from_the_toolkits(name: str, is_drivers: bool) -> None:
    assert bool(DRIVER.match(name)) is is_drivers


@pytest.mark.parametrize(
    "secret",
    [
        {"environment": ("HF_TOKEN=x",)},
        {"environment": ("AWS_ACCESS_KEY_ID=x",)},
        {"environment": ("LLAMA_API_KEY=x",)},
        {"environment": ("HTTPS_PROXY=http://me:pass@proxy",)},
        {"environment": ("ANYTHING=ghp_0123456789abcdefghijABCD",)},
        {"labels": {"com.example.password": "x"}},
        {"history": ("|1 TOKEN=x /bin/sh -c make",)},
        {"history": ("RUN curl -u x https://me:word@example.org/x",)},
        {"files": Files({"/root/.netrc": File("/root/.netrc", FileKind.FILE, 0o600, 0, 0, 9)})},
        {"files": Files({"/x/.ssh/mine": File("/x/.ssh/mine", FileKind.FILE, 0o600, 0, 0, 9)})},
        {"environment": ("DB_PASS=x",)},
        {"environment": ("SECRET_KEY_1=x",)},
        {"history": ("RUN login --password=x",)},
        {"history": ("RUN llama-server --hf-token x",)},
        {"history": ("RUN llama-server -hft x",)},
        {"history": ("RUN curl -H 'Authorization: Bearer 0123456789abcdef' https://example.org",)},
        {"files": Files({"/srv/.env": File("/srv/.env", FileKind.FILE, 0o600, 0, 0, 9)})},
        {"files": Files({}, secrets=("/opt/tls.key",))},
    ],
)
def test_secrets_are_found(secret: dict[str, Any]) -> None:
    (check,) = check_secrets(examined(**secret))
    assert check.outcome is Outcome.FAIL
    assert "pass@" not in check.detail


@pytest.mark.parametrize(
    "harmless",
    [
        {
            "environment": (
                "PATH=/bin",
                "HF_TOKEN=",
                "AWS_REGION=eu",
                "LLAMA_ARG_PORT=8080",
                "GPG_KEY=0123",
                "COMPASS=n",
            )
        },
        {"labels": {"org.opencontainers.image.source": "https://github.com/ggml-org/llama.cpp", "authors": "us"}},
        {"history": ("RUN --mount=type=secret,id=t TOKEN=$(cat /run/secrets/t) make", "ENV A=b", "COPY /out/ /")},
        {"history": ("RUN login --password $(cat /run/secrets/p) --token-file /t", "RUN apt-get --no-password x")},
        {"history": ("RUN curl --anyauth https://example.org", "RUN x --token", "RUN x --auth --max-tokens 5")},
        {"files": Files({"/x/.ssh/known_hosts": File("/x/.ssh/known_hosts", FileKind.FILE, 0o600, 0, 0, 9)})},
    ],
)
def test_what_is_no_secret_is_left_alone(harmless: dict[str, Any]) -> None:
    (check,) = check_secrets(examined(**harmless))
    assert check.outcome is Outcome.PASS, check.detail


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("token: hf_0123456789abcdefABCD", True),
        ("-----BEGIN EC PRIVATE KEY-----", True),
        ("url = https://deploy:s3cret@git.example/x.git", True),
        ("npm_0123456789abcdefghijABCDEFGHIJ", True),
        ("url = https://<user>:<password>@git.example/x.git", False),
        ("ssh://git@git.example/x.git", False),
        ("https://user:password@proxy.example", False),
        ("a task-management-of-long-names, disk-0, sk-ip", False),
        ("python_ghp_ 1234", False),
    ],
)
def test_a_text_is_told_from_one_with_a_secret(text: str, holds: bool) -> None:
    assert holds_secret(text) is holds


def test_a_history_that_is_not_told_cannot_be_judged() -> None:
    (check,) = check_secrets(examined(history=None))
    assert check.outcome is Outcome.UNJUDGED


def test_rights_are_compared_with_the_base_where_it_is_here() -> None:
    sudo = {"/usr/bin/sudo": File("/usr/bin/sudo", FileKind.FILE, 0o4755, 0, 0, 9)}
    outcomes = [
        next(check_permissions(examined(files=Files(sudo), base=base))).outcome
        for base in (Files(sudo), Files({}), None)
    ]
    assert outcomes == [Outcome.PASS, Outcome.FAIL, Outcome.UNJUDGED]


def test_a_usual_program_that_is_not_roots_is_unusual() -> None:
    su = {"/usr/bin/su": File("/usr/bin/su", FileKind.FILE, 0o4755, 10001, 0, 9)}
    assert next(check_permissions(examined(files=Files(su), base=Files({})))).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("outcomes", "wanted"),
    [
        ((), Outcome.UNJUDGED),
        ((Outcome.PASS,), Outcome.PASS),
        ((Outcome.PASS, Outcome.UNJUDGED), Outcome.UNJUDGED),
        ((Outcome.UNJUDGED, Outcome.PASS, Outcome.FAIL), Outcome.FAIL),
    ],
)
def test_a_verdict_is_its_worst_check(outcomes: tuple[Outcome, ...], wanted: Outcome) -> None:
    checks = [Check(str(outcome), outcome, f"It is {outcome}.") for outcome in outcomes]
    verdict = verdict_of("gate", "image", None, checks, measurements={}, seconds=0.0)
    assert verdict.outcome is wanted
    assert verdict.reasons[0].startswith({"fail": "It is fail", "could not judge": ""}.get(wanted, "All 1 checks"))
    assert len(verdict.checks) == len(outcomes)


@pytest.mark.parametrize(
    ("value", "library", "outcome"),
    [
        ("ON", "libggml-cpu-haswell.so", Outcome.PASS),
        ("ON", "libggml-cpu.so", Outcome.PASS),
        ("ON", "libggml-base.so.0", Outcome.FAIL),
        ("OFF", "libggml-base.so.0", None),
    ],
)
def test_where_backends_are_loaded_one_for_the_processor_is_demanded(
    value: str, library: str, outcome: Outcome | None
) -> None:
    names = {f"{FOLDER}/{library}": Binary(64, "x86-64")}
    entries = {path: File(path, FileKind.FILE, 0o755, 0, 0, 1) for path in (*names, RECORD)}
    entries.update({path: File(path, FileKind.FOLDER, 0o755, 0, 0, 0) for path in ("/opt", FOLDER)})
    record = json.dumps({"plan": {"definitions": [{"name": "GGML_BACKEND_DL", "value": value}]}}).encode()
    checks = check_libraries(examined(files=Files(entries, {RECORD: record}, names)))
    assert next((check.outcome for check in checks if check.name == "cpu-backend"), None) is outcome


def test_secrets_that_a_later_layer_hides_are_given_away_too() -> None:
    (check,) = check_secrets(examined(layers=Layers(2, 0, ("/root/.netrc",))))
    assert check.outcome is Outcome.FAIL
    assert "file /root/.netrc, which a later layer hides" in check.detail


@pytest.mark.parametrize("layers", [Layers(2, 1, ()), Layers(0, 0, ())])
def test_layers_that_were_not_read_are_never_a_pass(layers: Layers) -> None:
    (check,) = check_secrets(examined(layers=layers))
    assert check.outcome is Outcome.UNJUDGED


def test_no_secret_is_repeated_by_what_is_said_of_an_image() -> None:
    hushed = "hush-4711"
    environment = (
        f"LLAMA_API_KEY={hushed}",
        f"GGML_CUDA_AUTH={hushed}",
        f"LLAMA_ARG_MODEL_URL=https://me:{hushed}@h/x",
    )
    labels = {f"{STANDARD}token": hushed, f"{OWN}other": hushed, f"{OWN}commit": f"https://me:{hushed}@h/x"}
    entries = {path: File(path, FileKind.FOLDER, 0o755, 0, 0, 0) for path in ("/opt", FOLDER)}
    entries[RECORD] = File(RECORD, FileKind.FILE, 0o644, 0, 0, 9)
    made = examined(
        labels=labels,
        environment=environment,
        history=(f"RUN TOKEN={hushed} make", f"RUN login --password {hushed}"),
        files=Files(entries, {RECORD: json.dumps(_record()).encode()}),
    )
    server = f"{FOLDER}/llama-server"
    configs: tuple[Mapping[str, Any], ...] = (
        {"Entrypoint": ["sh", "-c", f"TOKEN={hushed} exec llama-server"], "OnBuild": [f"RUN TOKEN={hushed} make"]},
        {"Entrypoint": [server], "Cmd": ["--api-key", hushed, f"--hf-token={hushed}"]},
        {"Healthcheck": {"Test": ["CMD-SHELL", f"curl -H 'Authorization: Bearer {hushed}' localhost"]}},
        {"Healthcheck": {"Test": ["CMD", "curl", "-u", f"me:{hushed}", "localhost"]}},
        {"Entrypoint": [f"sh -c TOKEN={hushed}"]},
    )
    for config in configs:
        one = replace(made, config={**made.config, **config})
        checks = [*check_configuration(one), *check_secrets(one), *check_record(one)]
        verdict = verdict_of("structure", "image", None, checks, measurements={}, seconds=0.0)
        assert {"environment", "secrets", "labels", "foreign-labels"} <= {
            check.name for check in verdict.checks if check.outcome is Outcome.FAIL
        }
        assert hushed not in repr(asdict(verdict))


def _record() -> Mapping[str, Any]:
    revision = {"commit": "0" * 40, "build_number": 4000, "ref": "x", "release": None, "committed": None, "origin": "x"}
    bases = dict.fromkeys(("runtime", "runtime_id", "devel_id"), "x")
    plan = dict.fromkeys(("digest", "tree", "recipe", "variant", "cuda"), "x")
    lists: Mapping[str, Any] = {"architectures": [], "features": [], "definitions": []}
    return {"builder": "1", "plan": {**plan, **lists, "revision": revision, "bases": bases}}


@pytest.mark.parametrize(
    ("path", "kind", "mode", "outcome"),
    [
        ("/tmp", FileKind.FOLDER, 0o1777, Outcome.PASS),
        ("/tmp", FileKind.FOLDER, 0o777, Outcome.FAIL),
        ("/etc/odd", FileKind.FILE, 0o1666, Outcome.FAIL),
        ("/opt/tools", FileKind.FOLDER, 0o1777, Outcome.FAIL),
        ("/srv/libraries", FileKind.FOLDER, 0o1777, Outcome.FAIL),
        ("/usr/lib", FileKind.FOLDER, 0o1777, Outcome.FAIL),
    ],
)
def test_what_the_server_may_change_is_found_behind_a_sticky_bit(
    path: str, kind: FileKind, mode: int, outcome: Outcome
) -> None:
    folders = {name: File(name, FileKind.FOLDER, 0o755, 0, 0, 0) for name in ("/etc", "/opt", "/srv", "/usr")}
    files = Files({**folders, path: File(path, kind, mode, 0, 0, 1)})
    variables = ("PATH=/opt/tools:/bin", "LD_LIBRARY_PATH=/srv/libraries", "HOME=/home/x")
    check = list(check_permissions(examined(environment=variables, files=files)))[-1]
    assert (check.name, check.outcome) == ("changeable", outcome)


def test_a_record_that_is_nested_without_end_cannot_be_read() -> None:
    entries = {path: File(path, FileKind.FOLDER, 0o755, 0, 0, 0) for path in ("/opt", FOLDER)}
    entries[RECORD] = File(RECORD, FileKind.FILE, 0o644, 0, 0, 9)
    files = Files(entries, {RECORD: b"[" * 100_000})
    (check,) = check_record(examined(files=files))
    assert (check.name, check.outcome) == ("record", Outcome.FAIL)
    assert read_record(files) == {}
