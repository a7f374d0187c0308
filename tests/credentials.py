"""Credentials files as an agent of the Hub has them."""

import base64
import json
from pathlib import Path


def write_credentials(
    path: Path, agent: str, key_id: str = "k_1", *, mode: int = 0o600, **more: object
) -> Path:
    """Write a file that can be used; `more` are further keys of it."""
    document = {
        "hubUrl": "https://hub.example",
        "agentId": agent,
        "keyId": key_id,
        "privateKey": base64.b64encode(bytes(32)).decode(),
    }
    path.write_text(json.dumps({**document, **more}))
    path.chmod(mode)
    return path
