"""The audit of dependencies finds a hole, and says why it did not look."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest

AUDIT = Path(__file__).parents[2] / ".ci" / "audit.py"


class Service(BaseHTTPRequestHandler):
    """Knows a hole of one package, if any."""

    holes: ClassVar[dict[str, str]] = {}
    asked: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).asked = json.loads(body)["queries"]
        names = [one["package"]["name"] for one in self.asked]
        results = [{"vulns": [{"id": self.holes[n]}]} if n in self.holes else {} for n in names]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"results": results}).encode())

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Service]]:
    monkeypatch.setattr(Service, "holes", {})
    server = HTTPServer(("127.0.0.1", 0), Service)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OSV_URL", f"http://127.0.0.1:{server.server_port}/")
    yield Service
    server.shutdown()
    server.server_close()


def audit() -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(AUDIT)], capture_output=True, text=True, check=False,
        env={**os.environ, "no_proxy": "127.0.0.1"},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_a_known_hole_of_a_locked_package_is_told(service: type[Service]) -> None:
    code, text = audit()
    assert (code, "0 known hole(s)" in text) == (0, True), text
    assert {"package": {"name": "aiohttp", "ecosystem": "PyPI"}}.items() <= next(
        one for one in service.asked if one["package"]["name"] == "aiohttp"
    ).items()
    service.holes["aiohttp"] = "GHSA-x"
    code, text = audit()
    assert code == 1
    assert "GHSA-x" in text


def test_a_service_that_cannot_be_reached_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSV_URL", "http://127.0.0.1:1/")
    code, text = audit()
    assert (code, "skipped" in text) == (0, True), text
