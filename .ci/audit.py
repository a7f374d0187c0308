"""Asks OSV (https://osv.dev) whether a locked dependency has a known hole.

Ends with 1 when one has. Where the service cannot be reached it says so, and ends with 0: what is
locked did not change by that. `OSV_URL` names another service with the same API.
"""

import json
import os
import re
import sys
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

URL = "https://api.osv.dev/v1/querybatch"
LOCKS = Path(__file__).parent.parent / "requirements"
PATIENCE = 20
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def pins() -> list[tuple[str, str]]:
    """The packages and versions of all locks."""
    texts = (path.read_text("utf-8") for path in sorted(LOCKS.glob("*.txt")))
    return sorted({pin for text in texts for pin in PIN.findall(text)})


def known_holes(url: str, found: list[tuple[str, str]]) -> list[str]:
    """A line for each hole. Raises OSError or ValueError."""
    queries = [
        {"package": {"name": name, "ecosystem": "PyPI"}, "version": version}
        for name, version in found
    ]
    body = json.dumps({"queries": queries}).encode()
    request = Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 -- fixed
    with urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 -- the same
        results = json.load(answer)["results"]
    return [
        f"{name} {version}: {hole['id']}"
        for (name, version), result in zip(found, results, strict=True)
        for hole in result.get("vulns", ())
    ]


def main() -> int:
    """Tell what is known; the exit code."""
    found = pins()
    try:
        holes = known_holes(os.environ.get("OSV_URL", URL), found)
    except (URLError, TimeoutError, ConnectionError) as error:
        sys.stdout.write(f"audit: skipped, the service cannot be reached: {error}\n")
        return 0
    for line in holes:
        sys.stderr.write(f"{line}\n")
    sys.stdout.write(f"audit: {len(holes)} known hole(s) in {len(found)} locked packages\n")
    return 1 if holes else 0


if __name__ == "__main__":
    sys.exit(main())
