from sidecar.core.slots import Slots


def drain(slots: Slots[str]) -> list[str]:
    got = []
    while (key := slots.next()) is not None:
        got.append(key)
    return got


def test_slots_are_handed_out_in_the_order_of_readiness_up_to_the_limit() -> None:
    slots: Slots[str] = Slots(2, {})
    for key in "abc":
        slots.wait(key, "r")
    assert drain(slots) == ["a", "b"]
    slots.release("r")
    assert drain(slots) == ["c"]


def test_a_conversation_with_many_turns_goes_behind_the_others() -> None:
    slots: Slots[str] = Slots(1, {})
    slots.wait("busy", "r")
    slots.wait("other", "r")
    assert drain(slots) == ["busy"]
    slots.wait("busy", "r")
    slots.release("r")
    assert drain(slots) == ["other"]


def test_a_runtime_at_its_limit_does_not_hold_up_another_runtime() -> None:
    slots: Slots[str] = Slots(10, {"slow": 1})
    for key, runtime in (("a", "slow"), ("b", "slow"), ("c", "fast")):
        slots.wait(key, runtime)
    assert drain(slots) == ["a", "c"]
    slots.release("slow")
    assert drain(slots) == ["b"]


def test_asking_twice_keeps_the_place() -> None:
    slots: Slots[str] = Slots(1, {})
    for key in ("a", "b", "a"):
        slots.wait(key, "r")
    assert slots.next() == "a"
    slots.release("r")
    assert drain(slots) == ["b"]


def test_a_forgotten_conversation_gets_no_slot() -> None:
    slots: Slots[str] = Slots(1, {})
    slots.wait("a", "r")
    slots.forget("a")
    slots.forget("a")
    assert slots.next() is None
    assert slots.running == 0


def test_a_raised_limit_lets_more_run() -> None:
    slots: Slots[str] = Slots(1, {})
    slots.wait("a", "r")
    slots.wait("b", "r")
    assert drain(slots) == ["a"]
    slots.resize(2, {})
    assert drain(slots) == ["b"]
