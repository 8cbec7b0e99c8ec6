"""What the package offers by name."""

from __future__ import annotations

import pytest

from wsframe.testing import faults


@pytest.mark.parametrize("name", faults.__all__)
def test_every_name_exists_and_says_what_it_is(name: str) -> None:
    assert getattr(faults, name).__doc__


def test_other_names_do_not_exist() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Earthquake'"):
        faults.Earthquake  # type: ignore[attr-defined]  # noqa: B018
