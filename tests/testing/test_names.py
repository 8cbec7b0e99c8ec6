"""What the package offers by name."""

from __future__ import annotations

import pytest

import wsframe.testing


@pytest.mark.parametrize("name", wsframe.testing.__all__)
def test_every_name_exists_and_says_what_it_is(name: str) -> None:
    assert getattr(wsframe.testing, name).__doc__


def test_other_names_do_not_exist() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Server'"):
        wsframe.testing.Server  # type: ignore[attr-defined]  # noqa: B018
