"""Agents whose keys are made here, at a Hub that lets them register."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.codecs.hub.signing import public_key, signing_key
from sidecar.config.reading.managed import UNFINISHED
from tests.app.steering.control_rig import Rig, mode, running
from tests.patience import until

REGISTER = "/registry/agents"
VERIFY = "/registry/agents/{agent}/verify"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(tmp_path, "0.1.1") as found:
        found.log_in()
        yield found


def body(**record: object) -> dict[str, Any]:
    """An answer of a Hub that is not to be trusted."""
    return {"status": 201, "body": json.dumps(record).encode()}


async def test_an_agent_is_registered_with_a_key_that_stays_here_and_answers(rig: Rig) -> None:
    done = await rig.done("provision_agent", {"name": "Lazy", "bio": "Reads.", "runtime": "first"})
    agent = done["agentId"]
    path = rig.state / f"credentials/{agent}.json"
    assert done == {"agentId": agent, "hubUrl": rig.hub.url, "credentialsFile": str(path)}
    assert mode(path) == 0o600
    saved = json.loads(path.read_text())
    key = rig.hub.state.keys[saved["keyId"]]
    assert (key.agent, key.active) == (agent, True)
    assert key.public == public_key(signing_key(base64.b64decode(saved["privateKey"])))
    assert rig.hub.state.agents[agent].signer is None
    assert rig.hub.state.agents[agent].name == saved["displayName"] == "Lazy"
    await until(lambda: rig.hub.connected(agent))
    assert (await rig.answer(agent, "hello")).startswith("first:")
    other = await rig.done("provision_agent")
    assert other["agentId"] != agent


async def test_the_hub_is_told_where_a_person_makes_the_agent_theirs(rig: Rig) -> None:
    rig.hub.control.claims = False
    done = await rig.done("provision_agent", {"name": "Lazy"})
    assert done["claimUrl"].startswith(f"{rig.hub.url}/agents/claim/")
    agent = done["agentId"]
    rig.hub.state.agents[agent].claimed = True
    assert (await rig.answer(agent, "hello")).startswith("first:")


async def test_what_could_not_work_here_is_not_registered(rig: Rig) -> None:
    assert await rig.code("provision_agent", {"runtime": "gpt"}) == "unknown_runtime"
    assert await rig.code("provision_agent", {"cwd": "/"}) == "cwd_outside"
    assert await rig.code("provision_agent", {"credentials": {}}) == "bad_params"
    (rig.folder / "login.json").unlink()
    assert await rig.code("provision_agent") == "not_registered"
    assert rig.hub.requests[REGISTER] == 0


async def test_a_hub_that_does_not_register_it_changes_nothing(rig: Rig) -> None:
    faults: list[tuple[str, dict[str, Any]]] = [
        (REGISTER, {"status": 405}),
        (REGISTER, {"status": 500}),
        (REGISTER, body()),
        (REGISTER, body(agent_id="../demo", key_id="k", challenge="AAAA")),
        (REGISTER, body(agent_id="ag_x", key_id="k", challenge="no base64!")),
        (VERIFY, {"status": 401, "code": "signature_verification_failed"}),
    ]
    for route, fault in faults:
        rig.hub.faults.add(route, **fault)
        assert await rig.code("provision_agent", {"name": "Lazy"}) == "not_registered", fault
    assert not (rig.state / UNFINISHED).exists()
    await rig.done("provision_agent", {"name": "Lazy"})


async def test_a_hub_cannot_have_an_agent_replaced_by_naming_it(rig: Rig) -> None:
    before = json.loads((rig.folder / "demo.json").read_text())["privateKey"]
    rig.hub.faults.add(REGISTER, **body(agent_id="demo", key_id="k_1", challenge="AAAA"))
    rig.hub.faults.add(VERIFY, status=200, body=b"{}")
    assert await rig.code("provision_agent", {"name": "Lazy"}) == "agent_exists"
    assert json.loads((rig.folder / "demo.json").read_text())["privateKey"] == before
    assert (await rig.answer("demo", "hello")).startswith("first:")


async def test_todays_hub_hands_agents_over_and_registers_none(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.log_in()
        assert await rig.code("provision_agent", {"name": "Lazy"}) == "not_registered"
