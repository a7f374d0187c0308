"""Ed25519 signatures of the BotCord Hub, over canonical JSON (RFC 8785).

Four things are signed: a challenge, a nonce, a message envelope and a control frame. Keys and
signatures travel as standard base64 with padding.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping

import rfc8785
from nacl.exceptions import CryptoError
from nacl.signing import SigningKey, VerifyKey


def signing_key(seed: bytes) -> SigningKey:
    """The private key of a 32 byte seed. Raises ValueError for any other length."""
    if len(seed) != 32:
        raise ValueError(f"the private key has {len(seed)} bytes instead of 32")
    return SigningKey(seed)


def public_key(key: SigningKey) -> str:
    """The public half of a key, base64."""
    return _text(bytes(key.verify_key))


def agent_id(public: str) -> str:
    """The agent id of a public key: the first 12 hex digits of the SHA-256 of its base64 text."""
    return "ag_" + hashlib.sha256(public.encode()).hexdigest()[:12]


def sign(key: SigningKey, data: bytes) -> str:
    """The signature of some bytes, base64."""
    return _text(key.sign(data).signature)


def sign_challenge(key: SigningKey, challenge: str) -> str:
    """The signature of a challenge or nonce: over the bytes that its base64 text stands for.

    Raises:
        ValueError: the challenge is not base64.
    """
    return sign(key, base64.b64decode(challenge, validate=True))


def verify(public: str, data: bytes, signature: str) -> bool:
    """Whether a signature is right. Keys and signatures that are no such thing are not."""
    try:
        key = VerifyKey(base64.b64decode(public, validate=True))
        key.verify(data, base64.b64decode(signature, validate=True))
    except (CryptoError, ValueError):
        return False
    return True


def payload_hash(payload: object) -> str:
    """The hash of an envelope's payload.

    Raises:
        ValueError: the payload has no canonical form (lone surrogates, integers over 2**53).
    """
    return "sha256:" + hashlib.sha256(rfc8785.dumps(payload)).hexdigest()  # type: ignore[arg-type]  # it checks


def envelope_input(envelope: Mapping[str, object]) -> bytes:
    """The signed bytes of an envelope: nine of its fields on a line each.

    Later versions than `a2a/0.1` sign topic and goal too.
    """
    names = ["v", "msg_id", "ts", "from", "to", "type", "reply_to", "ttl_sec", "payload_hash"]
    if envelope["v"] != "a2a/0.1":
        names += ["topic", "goal"]
    values = (envelope.get(name) for name in names)
    return "\n".join("" if value is None else str(value) for value in values).encode()


def control_input(frame: Mapping[str, object]) -> bytes:
    """The signed bytes of a control frame: the canonical JSON of its id, type, params and ts.

    Raises:
        ValueError: it has no canonical form.
    """
    signed = {name: frame.get(name) for name in ("id", "type", "ts")}
    signed["params"] = frame.get("params") or {}
    return rfc8785.dumps(signed)  # type: ignore[arg-type]  # it checks


def verify_control_frame(frame: Mapping[str, object], keys: Iterable[str]) -> bool:
    """Whether one of the Hub's public keys (base64) signed the frame."""
    signature = frame.get("sig")
    if not isinstance(signature, str):
        return False
    try:
        data = control_input(frame)
    except (ValueError, RecursionError):
        return False
    return any(verify(key, data, signature) for key in keys)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
