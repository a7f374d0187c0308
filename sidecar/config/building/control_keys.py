"""The public keys with which frames of the control plane are checked."""

import base64
import re
from collections.abc import Mapping

from sidecar.config.building.part import Part

RING = "BOTCORD_HUB_CONTROL_PUBLIC_KEYS"
"""The environment variable with several keys, between commas or line ends."""
SINGLE = "BOTCORD_HUB_CONTROL_PUBLIC_KEY"
"""The older one, with one key; it counts where the other says nothing."""

_DEVELOPMENT = base64.b64decode("H8lKtrtJclp+M69dh0n0avdia/kN8fy1tYUSrQFpDxY=")
"""The key of Hubs that were given none. Its private half is published."""


def public_key(text: str) -> str:
    """A public key, base64; `ed25519:` may stand before it.

    Raises:
        ValueError: it is none, or the published development key.
    """
    try:
        key = base64.b64decode(text.strip().removeprefix("ed25519:"), validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ValueError("a public key has 32 bytes, in base64")
    if key == _DEVELOPMENT:
        raise ValueError("everybody has the private half of this key, so that it proves nothing")
    return base64.b64encode(key).decode("ascii")


def environment_keys(env: Mapping[str, str]) -> tuple[str, list[str]]:
    """The keys in environment variables as they are written, and the variable that counts."""
    name = RING if env.get(RING, "").strip() else SINGLE
    return name, [text for text in re.split(r"[,\s]+", env.get(name, "")) if text]


def control_keys(part: Part) -> tuple[str, ...]:
    """The keys of a part `control_plane`, else those of the environment, each once."""
    found: dict[str, None] = {}
    for index, text in enumerate(part.texts("public_keys")):
        try:
            found[public_key(text)] = None
        except ValueError as error:
            part.problem("public-key", f"{error}", "public_keys", index)
    if part.texts("public_keys") or not part.get("enabled", False):
        return tuple(found)
    name, texts = environment_keys(part.system.env)
    for text in texts:
        try:
            found[public_key(text)] = None
        except ValueError as error:
            part.problem("public-key", f"{name}: {error}", "enabled")
    return tuple(found)
