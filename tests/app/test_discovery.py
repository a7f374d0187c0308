import base64
import json
from pathlib import Path

from sidecar.app.discovery import Discovery
from sidecar.channels.discovery import scan
from sidecar.config import model as config


def write(path: Path, key_id: str, **more: object) -> None:
    document = {
        "hubUrl": "https://hub.example",
        "agentId": "ag_1",
        "keyId": key_id,
        "privateKey": base64.b64encode(bytes(32)).decode(),
    }
    path.write_text(json.dumps({**document, **more}))
    path.chmod(0o600)


async def test_a_file_with_another_key_is_another_channel_and_one_with_a_new_token_is_not(
    tmp_path: Path,
) -> None:
    folder = config.Discovery(botcord_credentials_dir=tmp_path)
    wanted = config.Config(config.State(tmp_path), None, discovery=folder)
    discovery = Discovery(scan)
    write(tmp_path / "a.json", "k_1")
    assert await discovery.look(wanted)
    first = discovery.channels(wanted)
    write(tmp_path / "a.json", "k_1", token="t")
    assert not await discovery.look(wanted)
    assert discovery.channels(wanted) == first
    write(tmp_path / "a.json", "k_2")
    assert await discovery.look(wanted)
    assert discovery.channels(wanted) != first
