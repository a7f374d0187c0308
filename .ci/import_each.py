"""Imports each module before all others: none may depend on another one having been there."""

import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

for path in sorted((ROOT / "sidecar").rglob("*.py")):
    if path.name == "__main__.py":
        continue
    for loaded in [known for known in sys.modules if known.split(".")[0] == "sidecar"]:
        del sys.modules[loaded]
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    importlib.import_module(name)
sys.stdout.write("each module can be imported first\n")
