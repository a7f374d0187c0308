"""Results of tests as JUnit XML, which CI systems show.

https://github.com/testmoapp/junitxml describes what they read of it.
"""

from collections.abc import Sequence
from xml.etree import ElementTree

from sidecar.app.authoring.testing import Result


def junit(results: Sequence[Result]) -> str:
    """One test suite, with a case for each test; times are in seconds."""
    total = sum(result.seconds for result in results)
    failed = sum(bool(result.mistakes) for result in results)
    suite = ElementTree.Element(
        "testsuite",
        {"name": "sidecar", "tests": str(len(results)), "failures": str(failed), "errors": "0",
         "time": f"{total:.3f}"},
    )  # fmt: skip
    for result in results:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            {"classname": result.case.file.name, "name": _plain(result.case.name),
             "time": f"{result.seconds:.3f}"},
        )  # fmt: skip
        if result.mistakes:
            failure = ElementTree.SubElement(
                case, "failure", {"message": _plain(result.mistakes[0].partition("\n")[0])}
            )
            failure.text = _plain("\n".join(result.mistakes))
    text = ElementTree.tostring(suite, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _plain(text: str) -> str:
    """The text without what XML cannot hold."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)
