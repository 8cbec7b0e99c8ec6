"""A plugin's own settings: ``[plugins.<name>]`` becomes its ``Config`` struct."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from wsframe.config_fields import nearest, read_value
from wsframe.config_origins import Given, Origin, Rank, refuse
from wsframe.errors import ConfigError, PluginError
from wsframe.redaction import HIDDEN, is_secret_name, redact_value


def build_plugin(name: str, factory: Any, settings: Mapping[str, Any]) -> tuple[object, Any]:
    """Make the plugin object of what an entry point names, and its config (None: it has none).

    A class with a ``Config`` is called with one, made from ``settings``; another class is called
    without arguments; a module, or an object that is already made, is the plugin itself.

    Raises:
        ConfigError: a setting is unknown or has the wrong type, or the plugin takes none.
        PluginError: ``Config`` is no struct.
    """
    if not inspect.isclass(factory):
        _refuse_settings(name, settings)
        return factory, None if inspect.ismodule(factory) else getattr(factory, "config", None)
    config_type = getattr(factory, "Config", None)
    make: Callable[..., object] = factory
    if config_type is None:
        _refuse_settings(name, settings)
        return make(), None
    if not (inspect.isclass(config_type) and issubclass(config_type, msgspec.Struct)):
        raise PluginError(
            name,
            f"{factory.__name__}.Config is not a msgspec.Struct",
            hint="Write 'class Config(msgspec.Struct): ...' inside the plugin's class.",
        )
    config = convert_settings(name, config_type, settings)
    return make(config), config


def _refuse_settings(name: str, settings: Mapping[str, Any]) -> None:
    for given in _given(name, settings):
        raise refuse(
            given,
            f"plugin {name!r} takes no settings here",
            hint=f"Remove the section [plugins.{name}].",
        )


def _given(name: str, settings: Mapping[str, Any]) -> Iterator[Given]:
    """Each setting with where it came from, as far as that is known."""
    origins: Mapping[str, Origin] = getattr(settings, "origins", {})
    unknown = Origin(Rank.ARGUMENT, "App(...)")
    for key, value in settings.items():
        yield Given(f"plugins.{name}.{key}", value, origins.get(key, unknown))


def convert_settings(
    name: str, config_type: type[msgspec.Struct], settings: Mapping[str, Any]
) -> msgspec.Struct:
    """Check settings strictly and make the plugin's config of them.

    Texts from environment and command line are read as their field's type, as wsframe's own are.

    Raises:
        ConfigError: naming the source, the key, the value and what would be right.
    """
    fields = {field.encode_name: field for field in msgspec.structs.fields(config_type)}
    values: dict[str, Any] = {}
    for given in _given(name, settings):
        key = given.key.rpartition(".")[2]
        if key not in fields:
            near = nearest(key, list(fields))
            hint = f"Did you mean {near}?" if near else f"It knows: {', '.join(fields) or 'none'}."
            if near and is_secret_name(near):  # a misspelled secret is a secret
                given = given._replace(value=HIDDEN)
            raise refuse(given, f"plugin {name!r} has no such setting", hint=hint)
        try:
            values[fields[key].name] = read_value(given.value, fields[key].type)
        except ValueError as error:
            raise refuse(given, str(error)) from None
    for key, field in fields.items():
        if field.required and field.name not in values:
            variable = f"WSFRAME_PLUGIN_{name}__{key}".upper().replace("-", "_")
            raise ConfigError(
                f"plugins.{name}.{key} is missing",
                hint=f"Set it under [plugins.{name}] in wsframe.toml, or in {variable}.",
            )
    try:
        return config_type(**values)
    except (ValueError, TypeError) as error:  # the struct's own __post_init__
        raise ConfigError(f"plugins.{name}: {error}") from error


def shown_config(config: Any) -> dict[str, Any] | None:
    """A plugin's config as plain data for people and machines, without secrets."""
    if not isinstance(config, msgspec.Struct):
        return None
    plain = msgspec.to_builtins(config, enc_hook=repr)
    return {key: redact_value(key, value) for key, value in plain.items()}


def same_name(one: str, other: str) -> bool:
    """Do both name one plugin? Environment variables have neither hyphens nor small letters."""
    return one.lower().replace("-", "_") == other.lower().replace("-", "_")
