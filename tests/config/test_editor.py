"""What an editor with the YAML language server makes of a config: problems, completion, hover.

The server is the npm package yaml-language-server: one in PATH, or one that npm installs for this
test where SIDECAR_E2E=1 asks for it. https://microsoft.github.io/language-server-protocol/
"""

import json
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.cli import main
from sidecar.config.schemas.shipped import folder
from tests.patience import PATIENCE

SERVER = "yaml-language-server"
GOOD = """\
version: 1
channels:
  demo: {type: botcord, credentials: demo.json, send_rate: {total: 20/1m}}
runtimes: {script: {type: command, command: [sh]}}
default_route: {runtime: script, cwd: .}
limits: {turn_timeout: 10m}
"""


class Editor:
    """The client's side of the protocol, as much as is needed here."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._messages: queue.Queue[Any] = queue.Queue()
        self._last = 0
        threading.Thread(target=self._read, daemon=True).start()
        settings = {"textDocument": {"hover": {"contentFormat": ["plaintext"]}}}
        self.ask("initialize", {"processId": None, "rootUri": None, "capabilities": settings})
        self._notify("initialized", {})

    def problems(self, file: Path, text: str) -> list[tuple[int, str]]:
        """The line and the words of each problem in a text that is opened as a file."""
        document = {"uri": file.as_uri(), "languageId": "yaml", "version": 1, "text": text}
        self._notify("textDocument/didOpen", {"textDocument": document})
        found = self._await(
            lambda one: (
                one.get("method") == "textDocument/publishDiagnostics"
                and one["params"]["uri"] == file.as_uri()
            )
        )["params"]["diagnostics"]
        return [(one["range"]["start"]["line"] + 1, one["message"]) for one in found]

    def at(self, what: str, file: Path, line: int, column: int) -> Any:
        """What the editor offers at a place of an opened file; both count from 1."""
        place = {"line": line - 1, "character": column - 1}
        document = {"uri": file.as_uri()}
        return self.ask(f"textDocument/{what}", {"textDocument": document, "position": place})

    def ask(self, method: str, told: dict[str, Any]) -> Any:
        self._last += 1
        number = self._last
        self._write({"id": number, "method": method, "params": told})
        return self._await(lambda one: one.get("id") == number and "method" not in one)["result"]

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _await(self, wanted: Callable[[Any], bool]) -> Any:
        while True:
            message = self._messages.get(timeout=PATIENCE)
            if wanted(message):
                return message
            if "id" in message and "method" in message:  # it asks for settings: there are none
                answer = [None] * len(message["params"].get("items", []))
                self._write({"id": message["id"], "result": answer})

    def _notify(self, method: str, told: dict[str, Any]) -> None:
        self._write({"method": method, "params": told})

    def _write(self, message: dict[str, Any]) -> None:
        content = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(content), content))
        self._process.stdin.flush()

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while header := stream.readline():
            length = int(header.partition(b":")[2])
            while stream.readline() not in (b"\r\n", b""):
                pass
            self._messages.put(json.loads(stream.read(length)))


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    if shutil.which("node") is None:
        pytest.skip("there is no node here")
    server = shutil.which(SERVER)
    if server is None and os.environ.get("SIDECAR_E2E") == "1" and shutil.which("npm"):
        place = tmp_path_factory.mktemp("npm")
        subprocess.run(["npm", "install", "--prefix", place, SERVER], check=True)
        server = str(place / "node_modules/.bin" / SERVER)
    if server is None:
        pytest.skip(f"{SERVER} is not in PATH; SIDECAR_E2E=1 lets npm install it")
    editor = Editor([server, "--stdio"])
    yield editor
    editor.close()


@pytest.fixture(params=["the shipped schema", "the printed schema"])
def modeline(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> str:
    schema = folder().resolve() / "config.schema.json"
    if "printed" in request.param:
        assert main(["schema"]) == 0
        schema = tmp_path / "printed.json"
        schema.write_text(capsys.readouterr().out)
    return f"# yaml-language-server: $schema={schema.as_uri()}\n"


def test_good_configs_have_no_problem(editor: Editor, modeline: str, tmp_path: Path) -> None:
    assert editor.problems(tmp_path / "good.yaml", modeline + GOOD) == []
    example = (Path(__file__).parents[2] / "config.example.yaml").read_text("utf-8")
    assert editor.problems(tmp_path / "example.yaml", modeline + example.partition("\n")[2]) == []


@pytest.mark.parametrize(
    ("written", "instead", "line"),
    [
        ("version: 1", "version: 2", 2),
        ("turn_timeout: 10m", "turn_timeuot: 10m", 7),
        ("turn_timeout: 10m", "turn_timeout: 10 minutes", 7),
        ("credentials: demo.json", "credentials: 5", 4),
        ("total: 20/1m", "total: 20", 4),
        ("command: [sh]", "command: sh", 5),
        ("type: command", "type: comand", 5),
        ("runtime: script, ", "", 6),
    ],
)
def test_mistakes_are_marked_on_their_line(
    editor: Editor, modeline: str, tmp_path: Path, written: str, instead: str, line: int
) -> None:
    text = modeline + GOOD.replace(written, instead)
    found = editor.problems(tmp_path / "bad.yaml", text)
    assert found
    assert {at for at, _ in found} == {line}


def test_keys_are_completed_also_those_of_a_type(
    editor: Editor, modeline: str, tmp_path: Path
) -> None:
    file = tmp_path / "complete.yaml"
    text = modeline + "version: 1\nchannels:\n  demo:\n    type: botcord\n    \nlimits:\n  \n"
    editor.problems(file, text)

    def offered(line: int, column: int) -> set[str]:
        return {one["label"] for one in editor.at("completion", file, line, column)["items"]}

    assert {"credentials", "send_rate", "grant"} <= offered(6, 5)
    assert {"turn_timeout", "drain_timeout"} <= offered(8, 3)
    assert "command" not in offered(6, 5)


def test_what_a_key_means_is_shown(editor: Editor, modeline: str, tmp_path: Path) -> None:
    file = tmp_path / "hover.yaml"
    editor.problems(file, modeline + GOOD)
    told = json.dumps(editor.at("hover", file, 7, 11))
    assert "How long one turn may take" in told.replace("\\\\", "").replace("&nbsp;", " ")
