from pathlib import Path

from sidecar.app.connecting.discovery import Discovery
from sidecar.config import model as config
from tests.credentials import write_credentials


async def test_a_file_with_another_key_is_another_channel_and_one_with_a_new_token_is_not(
    tmp_path: Path,
) -> None:
    folder = config.Discovery(botcord_credentials_dir=tmp_path)
    wanted = config.Config(config.State(tmp_path), None, discovery=folder)
    discovery = Discovery()
    write_credentials(tmp_path / "a.json", "ag_1", "k_1")
    assert await discovery.look(wanted)
    first = discovery.channels(wanted)
    write_credentials(tmp_path / "a.json", "ag_1", "k_1", token="t")
    assert not await discovery.look(wanted)
    assert discovery.channels(wanted) == first
    write_credentials(tmp_path / "a.json", "ag_1", "k_2")
    assert await discovery.look(wanted)
    assert discovery.channels(wanted) != first
