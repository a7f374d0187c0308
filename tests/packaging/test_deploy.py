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

from sidecar.app.checking.check import check
from sidecar.cli import build_parser
from sidecar.config.building.build import GRACE
from sidecar.server.metric_table import BY_NAME

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
OVERLAYS = ("native-sidecar", "standalone")
NATIVE_SIDECARS = "1.29"
"""The version of Kubernetes in which containers with `restartPolicy: Always` became usual."""

SERVED = ("/livez", "/readyz", "/metrics")
"""What the server of a sidecar answers to those who watch it."""

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
def test_the_network_policy_holds_for_the_pods_of_the_sidecar_and_leaves_them_dns(
    overlay: str,
) -> None:
    found = {one["kind"]: one for one in built(overlay)}
    policy, work = found["NetworkPolicy"]["spec"], found.get("StatefulSet", found.get("Deployment"))
    labels = work["spec"]["template"]["metadata"]["labels"].items() if work else ()
    assert policy["podSelector"]["matchLabels"].items() <= labels
    assert policy["podSelector"]["matchLabels"]
    dns = next(
        rule for rule in policy["egress"] if {"port": 53, "protocol": "UDP"} in rule["ports"]
    )
    system = {"kubernetes.io/metadata.name": "kube-system"}
    assert dns["to"] == [{"namespaceSelector": {"matchLabels": system}}]


def test_every_manifest_is_what_kubernetes_takes() -> None:
    found = [
        document
        for path in KUBERNETES.rglob("*.yaml")
        for document in documents(path.read_text())
        if document.get("kind", "Kustomization") not in {"Kustomization", "Component"}
    ]
    assert {one["kind"] for one in found} >= {"Deployment", "StatefulSet", "NetworkPolicy"}
    for document in found:
        if document["kind"] not in CHECK_UNKNOWN:
            kubernetes_validate.validate(document, NATIVE_SIDECARS, strict=True)


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
    assert {mount["name"] for mount in mounts if "subPath" in mount} <= {"data"}


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
    config = next(YAML(typ="safe").load_all((KUBERNETES / "base/config/config.yaml").read_text()))
    drain = int(config["limits"]["drain_timeout"].removesuffix("s"))
    grace = pod(overlay)["terminationGracePeriodSeconds"]
    assert grace >= drain + 10
    env = {one["name"]: one["value"] for one in containers(overlay)["sidecar"]["env"]}
    assert env["SIDECAR_TERMINATION_GRACE"] == f"{grace}s"


def test_the_sidecar_of_the_native_overlay_is_one() -> None:
    assert containers("native-sidecar")["sidecar"]["restartPolicy"] == "Always"
    assert [one["name"] for one in pod("native-sidecar")["initContainers"]] == ["clone", "sidecar"]
    assert workload("native-sidecar")["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_manifests_name_only_what_there_is(overlay: str) -> None:
    sidecar = containers(overlay)["sidecar"]
    parsed = build_parser(sidecar["args"][:1]).parse_args(sidecar["args"])
    mounts = {one["mountPath"]: one["name"] for one in sidecar["volumeMounts"]}
    assert mounts[str(parsed.config.parent)] == "config"
    assert {one["name"] for one in sidecar["env"]} == {"HOME", GRACE}
    config = YAML(typ="safe").load((KUBERNETES / "base/config/config.yaml").read_text())
    ports = {one["name"]: str(one["containerPort"]) for one in sidecar["ports"]}
    assert config["server"]["listen"].rpartition(":")[2] == ports["http"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = sidecar[probe]["httpGet"]
        assert (asked["path"] in SERVED, asked["port"] in ports) == (True, True), probe
    monitor = documents((KUBERNETES / "components/monitoring/podmonitor.yaml").read_text())[0]
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    assert (endpoint["path"] in SERVED, endpoint["port"] in ports) == (True, True)
    image = (DEPLOY / "Dockerfile").read_text()
    for words in re.findall(r"^(?:CMD|    CMD) (\[.+\])$", image, re.MULTILINE):
        line = json.loads(words)
        line = line[1:] if line[0] == "sidecar" else line
        parsed = build_parser(line[:1]).parse_args(line)
        assert parsed.command in ("run", "status")
        if parsed.command == "status":  # a bad config makes nothing unhealthy
            assert f'VOLUME ["{parsed.live}"]' in image


def test_the_config_of_the_manifests_is_valid(tmp_path: Path) -> None:
    shutil.copytree(KUBERNETES / "base", tmp_path / "base")
    file = tmp_path / "base/config/config.yaml"
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
    panels = json.loads(dashboard)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    shown = [one["expr"] for panel in panels for one in panel.get("targets", ())]
    rules = YAML(typ="safe").load(alerts)["groups"][0]["rules"]
    for expression in [*shown, *(rule["expr"] for rule in rules)]:
        named = set(re.findall(r"\b(?:sidecar|process)_([a-z_]+)", expression))
        assert named, expression
        known = {"instance", "le"}
        for name in named - {"resident_memory_bytes", "cpu_seconds_total"}:
            metric = BY_NAME.get(re.sub(r"_(bucket|sum|count)$", "", name)) or BY_NAME[name]
            known |= set(metric.labels)
        used = re.findall(r"by \(([a-z_, ]+)\)", expression) + re.findall(r"(\w+)=", expression)
        assert {label.strip() for text in used for label in text.split(",")} <= known, expression
    # What the texts of the alerts and of the documentation name.
    for name in re.findall(r"\bsidecar_([a-z_]+)", alerts + dashboard):
        assert re.sub(r"_(bucket|sum|count)$", "", name) in BY_NAME or name in BY_NAME, name


def test_prometheus_takes_the_alerts_and_what_the_dashboard_asks_for(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    panels = json.loads((DEPLOY / "monitoring/dashboard.json").read_text())["panels"]
    asked = [one["expr"] for panel in panels for one in panel.get("targets", ())]
    rules = [
        {
            "record": f"asked:{number}",
            "expr": text.replace("$__rate_interval", "5m").replace("$instance", ".*"),
        }
        for number, text in enumerate(asked)
    ]
    beside = tmp_path / "asked.yaml"
    beside.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    alerts = DEPLOY / "monitoring/alerts.yaml"
    subprocess.run([promtool, "check", "rules", alerts, beside], check=True)


@pytest.mark.parametrize("unit", ["sidecar.service", "sidecar-user.service"])
def test_systemd_takes_the_units(unit: str, tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd is not installed")
    text = (DEPLOY / "systemd" / unit).read_text()
    assert "Type=notify" in text
    assert "KillMode=mixed" in text
    file = tmp_path / unit
    file.write_text(re.sub(r"ExecStart=\S+", f"ExecStart={sys.executable}", text))
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
