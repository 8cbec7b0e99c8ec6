"""One plugin alone in an application."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ...hooks.discovery import application_plugins, installed_plugins
from ...server.app import App


def isolated_app(
    plugin: object, settings: Mapping[str, Any] | None = None, **app_settings: Any
) -> App:
    """An application in which ``plugin`` is active and no other, whatever is installed.

    Configuration files are not read. Add handlers to it, and give it to ``wsframe_client``.

    Args:
        plugin: what the entry point names, a class or a module; or an object that is already made.
        settings: what would stand in ``[plugins.<name>]``, checked as the file's would be.
        app_settings: any other setting of the application.

    Raises:
        ConfigError: a setting of the application is wrong. Those of the plugin are checked when it
            starts.
    """
    name = plugin_name(plugin)
    return App(
        plugins=[plugin],
        config_file=os.devnull,
        **{"plugins.only": (name,)},
        **{f"plugins.{name}.{key}": value for key, value in (settings or {}).items()},
        **app_settings,
    )


def plugin_name(plugin: object) -> str:
    """The name that an application will give to ``plugin``: of its entry point, or its class."""
    (candidate,) = application_plugins([plugin], list(installed_plugins()))
    return candidate.name
