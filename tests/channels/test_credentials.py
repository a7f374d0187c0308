import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from sidecar.channels import credentials
from sidecar.errors import ChannelStopped
from tests.channels.scripted_hub import AGENT, PUBLIC, SEED

PRIVATE = base64.b64encode(SEED).decode()


def write(path: Path, document: Any, mode: int = 0o600) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    path.chmod(mode)
    return path


def document(**changes: Any) -> dict[str, Any]:
    return {
        "hubUrl": "https://hub.example/",
        "agentId": AGENT,
        "keyId": "k_1",
        "privateKey": PRIVATE,
        **changes,
    }


def test_both_spellings_are_read(tmp_path: Path) -> None:
    camel = credentials.read(
        write(tmp_path / "1", document(token="t", tokenExpiresAt=5, publicKey=PUBLIC))
    )
    snake = credentials.read(
        write(
            tmp_path / "2",
            {
                "hub": " https://hub.example",
                "agent_id": AGENT,
                "key_id": "k_1",
                "private_key": PRIVATE,
                "public_key": PUBLIC,
                "token": "t",
                "token_expires_at": 5,
                "agentId": " ",
            },
        )
    )
    for found in (camel, snake):
        assert (found.agent, found.hub, found.key_id) == (AGENT, "https://hub.example", "k_1")
        assert (found.seed, found.token, found.expires_at) == (SEED, "t", 5.0)


@pytest.mark.parametrize(
    ("given", "seconds"), [(1795415135, 1795415135), (1795415030123, 1795415030.123)]
)
def test_an_expiry_in_milliseconds_is_read_as_such(
    tmp_path: Path, given: int, seconds: float
) -> None:
    found = credentials.read(write(tmp_path / "1", document(tokenExpiresAt=given)))
    assert found.expires_at == seconds


def test_keys_and_tokens_are_not_shown(tmp_path: Path) -> None:
    shown = repr(credentials.read(write(tmp_path / "1", document(token="secret-token"))))
    assert "secret-token" not in shown
    assert "seed" not in shown


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o666])
def test_a_file_that_others_can_use_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "a.json", document(), mode)
    with pytest.raises(ChannelStopped, match=f"chmod 600 {path}"):
        credentials.read(path)
    (tmp_path / "..data").mkdir()  # as below the mount point of a Secret
    with pytest.raises(ChannelStopped, match="mend it with: mount the Secret with `defaultMode: 0"):
        credentials.read(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f'{{"privateKey": "{PRIVATE}",', "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ("[]", "is not a JSON object"),
        (document(hubUrl=None), "has no hubUrl"),
        (document(agentId=""), "has no agentId"),
        (document(agentId="../x"), "cannot be the id of an agent"),
        (document(keyId={}), "has no keyId"),
        (document(privateKey=None), "has no privateKey"),
        (document(privateKey="AAAA"), "privateKey is not 32 bytes in base64"),
        (document(privateKey="?" * 44), "privateKey is not 32 bytes in base64"),
        (document(privateKey="ä"), "privateKey is not 32 bytes in base64"),
        (document(publicKey="AAAA"), "publicKey does not belong to privateKey"),
        (document(hubUrl="http://hub.example"), "use https://"),
    ],
)
def test_what_is_wrong_is_told_without_the_key(tmp_path: Path, content: Any, words: str) -> None:
    path = write(tmp_path / "a.json", content)
    with pytest.raises(ChannelStopped, match=words) as caught:
        credentials.read(path)
    assert str(path) in str(caught.value)
    assert PRIVATE not in f"{caught.value} {caught.value.__cause__}"


def test_a_file_that_is_not_there_or_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.json", tmp_path):
        with pytest.raises(ChannelStopped, match=str(path)):
            credentials.read(path)


def test_the_usual_place_is_named_after_the_agent() -> None:
    expected = Path("~/.botcord/credentials/ag_1.json").expanduser()
    assert credentials.default_path("ag_1") == expected
    with pytest.raises(ChannelStopped):
        credentials.default_path("../../etc/passwd")


def unseen(_before: bytes, _after: bytes) -> None:
    """Nobody watches the file."""


def test_a_new_token_keeps_everything_else_in_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", document(unknown={"ä": [1]}, token="old"), 0o400)
    credentials.store_token(path, AGENT, "new", 1795415135.9, unseen)
    assert json.loads(path.read_text()) == document(
        unknown={"ä": [1]}, token="new", tokenExpiresAt=1795415135
    )
    assert path.read_text().startswith('{\n  "hubUrl"')
    assert path.read_text().endswith("}\n")
    assert path.stat().st_mode & 0o777 == 0o400
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_what_is_written_is_told_before(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", document())
    before, told = path.read_bytes(), []

    def wrote(old: bytes, new: bytes) -> None:
        assert path.read_bytes() == old == before
        told.append(new)

    credentials.store_token(path, AGENT, "new", 9.0, wrote)
    assert [path.read_bytes()] == told


def test_the_spelling_of_the_expiry_is_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", document(token_expires_at=1))
    credentials.store_token(path, AGENT, "new", 9.0, unseen)
    assert credentials.read(path).expires_at == 9.0
    assert "tokenExpiresAt" not in path.read_text()


def test_a_token_is_written_through_a_link(tmp_path: Path) -> None:
    real = write(tmp_path / "real.json", document())
    link = tmp_path / "link.json"
    link.symlink_to(real)
    credentials.store_token(link, AGENT, "new", 9.0, unseen)
    assert link.is_symlink()
    assert credentials.read(real).token == "new"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_stays_theirs(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", document())
    try:
        os.chown(path, 4711, 4712)
    except OSError as error:  # a root of a namespace that has no such users
        pytest.skip(f"{error}")
    credentials.store_token(path, AGENT, "new", 9.0, unseen)
    found = path.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (4711, 4712, 0o600)
    assert credentials.read(path).token == "new"


def test_a_token_is_kept_though_its_file_cannot_be_given_to_its_former_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    path = write(tmp_path / "a.json", document())
    monkeypatch.setattr(os, "fchown", refuse)
    credentials.store_token(path, AGENT, "new", 9.0, unseen)
    assert credentials.read(path).token == "new"


@pytest.mark.parametrize("content", [None, "{", "[]", document(agentId="ag_other")])
def test_a_file_that_is_gone_or_of_somebody_else_is_left_alone(
    tmp_path: Path, content: Any
) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        write(path, content)
    before = path.read_text() if content is not None else None
    credentials.store_token(path, AGENT, "new", 9.0, unseen)
    assert (path.read_text() if path.exists() else None) == before


async def test_credentials_of_another_agent_stop_the_channel(world: Any) -> None:
    error = await world.ending(world.channel(agent="ag_other"))
    assert isinstance(error, ChannelStopped)
    assert "not of ag_other" in str(error)


async def test_a_missing_file_stops_the_channel_until_it_is_there(world: Any) -> None:
    text = world.credentials.read_text()
    world.credentials.unlink()
    channel = world.channel()
    error = await world.ending(channel)
    assert isinstance(error, ChannelStopped)
    assert channel.status.state == "stopped"
    with pytest.raises(ChannelStopped):
        await channel.send(world.reply())
    write(world.credentials, text)
    assert await channel.send(world.reply())


async def test_an_unsafe_address_of_the_hub_stops_the_channel(world: Any) -> None:
    error = await world.ending(world.channel(hub_url="http://hub.example"))
    assert isinstance(error, ChannelStopped)
    assert "hub_url" in str(error)
