"""Who may be able to read a file with secrets."""

import pytest

from sidecar.config.system import is_private


@pytest.mark.parametrize(
    ("mode", "owner", "private"),
    [
        (0o600, 1000, True),
        (0o400, 1000, True),
        (0o440, 1000, False),
        (0o604, 1000, False),
        (0o400, 0, True),
        (0o440, 0, True),  # how Kubernetes gives a Secret to a group
        (0o444, 0, False),
        (0o460, 0, False),
        (0o640, 1001, True),
    ],
)
def test_of_ones_own_file_nobody_else_may_read_and_of_a_given_one_the_group_may(
    mode: int, owner: int, private: bool
) -> None:
    assert is_private(0o100000 | mode, owner, 1000) is private
