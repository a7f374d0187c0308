"""Changes of what the control plane set."""

from pathlib import Path

import pytest

from sidecar.core.managed import Managed, read, with_agent, with_route, without_agent, write

FILE = Path("/state/credentials/ag_1.json")


def test_what_is_written_is_read_back() -> None:
    managed = with_agent(Managed(), "ag_1", FILE, {"runtime": "claude", "args": ["ä", "\u2028"]})
    assert read(write(managed)) == managed


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"channels": [], "routes": []}', "nul", "{" * 9])
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read(text)


def test_a_narrow_route_stands_before_the_one_that_takes_all_of_its_agent() -> None:
    managed = with_agent(Managed(), "ag_1", FILE, {"runtime": "a"})
    managed = with_agent(managed, "ag_2", FILE, {"runtime": "a"})
    prefix = {"conversation_prefix": "rm_x"}
    managed, index, inserted = with_route(managed, "ag_2", prefix, {"runtime": "b"})
    assert (index, inserted) == (1, True)
    assert [route["runtime"] for route in managed.routes] == ["a", "b", "a"]
    managed, index, inserted = with_route(managed, "ag_2", prefix, {"runtime": "c"})
    assert (index, inserted) == (1, False)
    assert managed.routes[1]["runtime"] == "c"
    assert len({route["name"] for route in managed.routes}) == 3


def test_an_agent_goes_with_its_routes_and_no_others() -> None:
    one = with_agent(Managed(), "ag_1", FILE, {"runtime": "a"})
    both = with_agent(one, "ag_2", FILE, {"runtime": "a"})
    assert without_agent(both, "ag_2") == one
    assert without_agent(one, "ag_3") == one


def test_the_name_of_a_route_fits_however_long_the_agent_s_is() -> None:
    managed = with_agent(Managed(), "a" * 128, FILE, {"runtime": "a"})
    assert len(str(managed.routes[0]["name"])) <= 64
