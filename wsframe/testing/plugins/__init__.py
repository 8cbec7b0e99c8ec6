"""What plugin authors test with: one plugin alone in an application, and the contract of plugins.

:func:`isolated_app` makes an application in which one plugin is active and no other, whatever is
installed. :class:`PluginContract` has the tests that every plugin should pass; derive a class from
it::

    class TestContract(PluginContract):
        plugin = GreeterPlugin
        settings = {"greeting": "Servus"}
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(f"{__name__}.contract")

from .contract import PluginContract  # noqa: E402 - its asserts are rewritten
from .isolation import isolated_app  # noqa: E402

__all__ = ["PluginContract", "isolated_app"]
