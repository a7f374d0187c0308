"""The HTTP client that all channels share."""

import os

from aiohttp import ClientSession, DummyCookieJar, TCPConnector


def http_client() -> ClientSession:
    """A client that keeps its connections for a while, and uses the proxy of the environment."""
    proxied = any(name.lower() in ("http_proxy", "https_proxy") for name in os.environ)
    if proxied:
        # A Hub on this machine, as the development Hub is, is behind no proxy.
        spared = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
        os.environ["no_proxy"] = ",".join(filter(None, (spared, "localhost,127.0.0.1,::1")))
    return ClientSession(
        connector=TCPConnector(limit=0, keepalive_timeout=60),
        cookie_jar=DummyCookieJar(),
        trust_env=proxied,
    )
