"""What deploy/ ships holds together: manifests, image, units, alerts and dashboard."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from sidecar.app.check import check
from sidecar.server.metric_table import BY_NAME

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
OVERLAYS = ("native-sidecar", "standalone")
NATIVE_SIDECARS = "1.29"
"""The version of Kubernetes in which containers with `restartPolicy: Always` became usual."""

CHECK_UNKNOWN = {"PodMonitor"}
"""Kinds of other programs, whose schema Kubernetes does not have."""


def documents(text: str) -> list[dict[str, Any]]:
    return [one for one in YAML(typ="safe").load_all(text) if one]


def built(overlay: str) -> list[dict[str, Any]]:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    made = subprocess.run(
        [kubectl, "kustomize", KUBERNETES / "overlays" / overlay],
        check=True,
        capture_output=True,
        text=True,
    )
    return documents(made.stdout)


def workload(overlay: str) -> dict[str, Any]:
    file = next((KUBERNETES / "overlays" / overlay).glob("*set.yaml"), None)
    file = file or KUBERNETES / "overlays" / overlay / "deployment.yaml"
    return documents(file.read_text())[0]


def pod(overlay: str) -> dict[str, Any]:
    found: dict[str, Any] = workload(overlay)["spec"]["template"]["spec"]
    return found


def containers(overlay: str) -> dict[str, dict[str, Any]]:
    spec = pod(overlay)
    return {one["name"]: one for one in [*spec["initContainers"], *spec["containers"]]}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_kustomize_builds_is_what_kubernetes_takes(overlay: str) -> None:
    for document in built(overlay):
        if document["kind"] not in CHECK_UNKNOWN:
            kubernetes_validate.validate(document, NATIVE_SIDECARS, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_save_of_the_config_map_never_makes_a_new_pod(overlay: str) -> None:
    names = {one["metadata"]["name"] for one in built(overlay) if one["kind"] == "ConfigMap"}
    assert names == {"sidecar-config", "sidecar-templates"}
    mounts = [mount for one in containers(overlay).values() for mount in one["volumeMounts"]]
    assert not any("subPath" in mount for mount in mounts)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_container_has_more_rights_than_it_needs(overlay: str) -> None:
    spec = pod(overlay)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    for name, container in containers(overlay).items():
        rights = container["securityContext"]
        assert rights["readOnlyRootFilesystem"] is True, name
        assert rights["allowPrivilegeEscalation"] is False, name
        assert rights["capabilities"] == {"drop": ["ALL"]}, name
        assert "memory" in container["resources"]["limits"], name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_pod_gives_the_drain_the_time_it_needs(overlay: str) -> None:
    config = next(YAML(typ="safe").load_all((KUBERNETES / "base/config.yaml").read_text()))
    drain = int(config["limits"]["drain_timeout"].removesuffix("s"))
    grace = pod(overlay)["terminationGracePeriodSeconds"]
    assert grace >= drain + 10
    env = {one["name"]: one["value"] for one in containers(overlay)["sidecar"]["env"]}
    assert env["SIDECAR_TERMINATION_GRACE"] == f"{grace}s"


def test_the_sidecar_of_the_native_overlay_is_one() -> None:
    assert containers("native-sidecar")["sidecar"]["restartPolicy"] == "Always"
    assert [one["name"] for one in pod("native-sidecar")["initContainers"]] == ["clone", "sidecar"]
    assert workload("native-sidecar")["spec"]["strategy"] == {"type": "Recreate"}


def test_the_config_of_the_manifests_is_valid(tmp_path: Path) -> None:
    shutil.copytree(KUBERNETES / "base", tmp_path / "base")
    # `../templates` is beside the folder of the config in the pod.
    shutil.move(tmp_path / "base/templates", tmp_path / "templates")
    file = tmp_path / "base/config.yaml"
    secrets, work = tmp_path / "secrets", tmp_path / "workspace"
    (work / "repo").mkdir(parents=True)
    secrets.mkdir()
    for name in ("token", "anthropic-api-key", "agent.json"):
        (secrets / name).write_text("{}")
        (secrets / name).chmod(0o600)
    text = file.read_text().replace("/run/secrets/sidecar", str(secrets))
    text = text.replace("/workspace", str(work)).replace("/var/lib/sidecar", str(tmp_path / "s"))
    file.write_text(text)
    found = check(file)
    assert [one for one in found.problems if one.code != "command-not-found"] == []


def test_every_figure_of_the_alerts_and_the_dashboard_exists() -> None:
    alerts = (DEPLOY / "monitoring/alerts.yaml").read_text()
    dashboard = (DEPLOY / "monitoring/dashboard.json").read_text()
    for text in (alerts, dashboard):
        names = set(re.findall(r"sidecar_([a-z_]+)(?=[{\[ ])", text))
        assert names
        for name in names:
            plain = re.sub(r"_(bucket|sum|count)$", "", name)
            assert plain in BY_NAME or name in BY_NAME, name
    panels = json.loads(dashboard)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_prometheus_takes_the_alerts() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    subprocess.run([promtool, "check", "rules", DEPLOY / "monitoring/alerts.yaml"], check=True)


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd is not installed")
    unit = (DEPLOY / "systemd/sidecar.service").read_text()
    file = tmp_path / "sidecar.service"
    file.write_text(unit.replace("/opt/sidecar/bin/sidecar", sys.executable))
    told = subprocess.run(
        [tool, "verify", "--recursive-errors=no", "--man=no", file],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (told.returncode, told.stderr) == (0, "")


def test_every_file_that_the_image_copies_exists() -> None:
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert copied
    assert [source for source in copied if not (ROOT / source).exists()] == []


def test_hadolint_takes_the_dockerfile() -> None:
    hadolint = shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed")
    subprocess.run([hadolint, DEPLOY / "Dockerfile"], check=True)


@pytest.mark.skipif("SIDECAR_E2E" not in os.environ, reason="installs packages; SIDECAR_E2E=1")
def test_the_steps_of_the_image_make_a_sidecar_that_runs(tmp_path: Path) -> None:
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    stage = text.split(" AS build\n")[1].split("\nFROM ")[0]
    work, root = tmp_path / "src", tmp_path / "opt"
    work.mkdir()
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for line in stage.splitlines():
        word, _, rest = line.partition(" ")
        if word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                given, to = ROOT / source, work / target
                if given.is_dir():
                    shutil.copytree(given, to)
                else:
                    to.mkdir(exist_ok=True, parents=True)
                    shutil.copy(given, to)
        elif word == "RUN":
            env = {**os.environ, "ROOT": str(root), "PATH": beside}
            subprocess.run(["/bin/sh", "-ec", rest], cwd=work, env=env, check=True)
    shown = subprocess.run([root / "bin/sidecar", "version"], check=True, capture_output=True)
    assert shown.stdout
    started = tmp_path / "started.yaml"
    init = [root / "bin/sidecar", "init", started, "--template", "kubernetes"]
    subprocess.run(init, check=True, cwd=tmp_path)
    assert started.exists()
