"""Writing a new config file: one that is there is never touched."""

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from sidecar.config.schemas.shipped import MAIN, folder


def write_new(path: Path, text: Callable[[str], str], *, elsewhere: bool = False) -> int:
    """Write what `text` makes of the schema's address, and make the folder for it; the exit code,
    with what came of it told. `elsewhere`: it is for another machine."""
    try:
        with suppress(FileExistsError):  # of what is no folder, opening the file tells
            path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text(schema_for(path)))
    except FileExistsError:
        print(f"sidecar: {path} is there already; nothing was written", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"sidecar: {path} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    check = "sidecar validate --no-env" if elsewhere else "sidecar validate"
    print(f"wrote {path}; `{check} {path}` checks it")
    return 0


def schema_for(path: Path, name: str = MAIN) -> str:
    """Where an editor finds a schema: by a relative path below the file's folder, which may move
    as a whole, else by an absolute one."""
    schema, here = folder().resolve() / name, path.absolute().parent.resolve()
    if schema.is_relative_to(here):
        return f"./{quote(schema.relative_to(here).as_posix())}"
    return schema.as_uri()
