"""What the shipped manifests make of a pod: what stays, what is cloned, and how it ends."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from sidecar.app.checking.system import MachineSystem
from sidecar.config.system import usual_state_dir
from tests.packaging.test_deploy import KUBERNETES, OVERLAYS, containers, workload
from tests.patience import PATIENCE


def test_what_a_drained_pod_leaves_is_there_in_the_next_one() -> None:
    [claim] = workload("standalone")["spec"]["volumeClaimTemplates"]

    def kept(name: str) -> dict[str, str]:
        return {
            mount["mountPath"]: mount["subPath"]
            for mount in containers("standalone")[name]["volumeMounts"]
            if mount["name"] == claim["metadata"]["name"]
        }

    [home] = [
        one["value"] for one in containers("standalone")["sidecar"]["env"] if one["name"] == "HOME"
    ]
    assert kept("sidecar") == {home: "home", "/workspace": "workspace"}
    assert kept("clone") == {"/workspace": "workspace"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_state_is_found_in_the_home_folder_also_with_a_config_that_is_no_yaml(
    overlay: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sidecar = containers(overlay)["sidecar"]
    env = {one["name"]: one["value"] for one in sidecar["env"]}
    monkeypatch.setenv("HOME", env["HOME"])
    state = usual_state_dir(MachineSystem(env))
    mounts = {one["mountPath"] for one in sidecar["volumeMounts"]}
    assert mounts & {str(one) for one in (state, *state.parents)} == {env["HOME"]}
    config = YAML(typ="safe").load((KUBERNETES / "base/config/config.yaml").read_text())
    assert "state" not in config


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_checkout_is_cloned_once_and_never_half(overlay: str, tmp_path: Path) -> None:
    origin, workspace = tmp_path / "origin", tmp_path / "workspace"
    subprocess.run(["git", "init", "-q", origin], check=True)
    (workspace / ".new").mkdir(parents=True)
    (workspace / ".new/cut").touch()
    clone = containers(overlay)["clone"]
    line = [*clone["command"], *clone["args"]]
    line = [word.replace("/workspace", str(workspace)) for word in line]
    env = {**os.environ, "REPOSITORY": str(origin)}
    subprocess.run(line, env=env, check=True)
    assert [one.name for one in workspace.iterdir()] == ["repo"]
    assert (workspace / "repo/.git/HEAD").exists()
    (workspace / "repo/work").touch()
    subprocess.run(line, env=env, check=True)
    assert (workspace / "repo/work").exists()
    assert subprocess.run(line, env={**env, "REPOSITORY": "none"}, check=False).returncode == 0
    (workspace / "repo").rename(tmp_path / "gone")
    assert subprocess.run(line, env={**env, "REPOSITORY": "none"}, check=False).returncode != 0


def test_the_container_beside_the_sidecar_leaves_it_the_time_to_drain() -> None:
    probe = ["unshare", "-rpf", "--kill-child", "true"]
    if not shutil.which("unshare") or subprocess.run(probe, check=False).returncode:
        pytest.skip("namespaces cannot be made here")
    command = containers("native-sidecar")["workspace"]["command"]
    with subprocess.Popen([*probe[:-1], *command]) as outside:
        children = Path(f"/proc/{outside.pid}/task/{outside.pid}/children")
        deadline = time.monotonic() + PATIENCE
        try:
            # Again and again: it may not be what it becomes yet.
            while outside.poll() is None and time.monotonic() < deadline:
                with suppress(OSError):  # it has just ended
                    for process_1 in children.read_text().split():
                        os.kill(int(process_1), signal.SIGTERM)
                time.sleep(0.05)
            assert outside.returncode == 0
        finally:
            outside.kill()
