"""Hooks: what plugins may implement, how plugins are found, and how their functions are called.

pluggy is the registry; :class:`~wsframe.hooks.table.HookTable` is the dispatcher.
"""

from .manager import HookManager
from .markers import Policy, Spec, hookimpl
from .specs import SPECS
from .table import HookTable, Implementations

__all__ = ["SPECS", "HookManager", "HookTable", "Implementations", "Policy", "Spec", "hookimpl"]
