"""Checks messages against JSON Schema files before a handler sees them.

Everything that can be wrong with a schema is found when it is loaded, and then the server does not
start. What is left for each message is one look into a dict and one call of a compiled validator.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from wsframe import App, Connection, Message, PluginError, Refused, hookimpl

if TYPE_CHECKING:
    import click

    from .engines import Engine, Error
    from .reloading import Watcher
    from .rules import Rules

__all__ = ["ValidationPlugin"]

log = logging.getLogger("wsframe.plugins.validation")

DEFAULT_FOLDER: Final = "schemas"


class ValidationPlugin:
    """Refuses messages that do not fit the schema of their type with ``invalid_content``."""

    class Config(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
        """``[plugins.validation]``."""

        folders: tuple[str, ...] | None = None
        """Folders with schema files, beside those that ``app.add_schemas`` names. None:
        ``schemas``, if there is such a folder."""
        engine: Literal["auto", "jsonschema-rs", "jsonschema"] = "auto"
        """What checks; ``auto``: jsonschema-rs where it is installed."""
        max_errors: int = 10
        """Errors that an answer names at most."""
        max_message_length: int | None = None
        """Longest text in a content, in characters; None: no limit."""
        max_content_length: int | None = None
        """Largest content, in bytes of JSON; None: no limit but ``max_message_bytes``."""
        allowed_types: tuple[str, ...] | None = None
        """Types that clients may send, the protocol's own aside; None: any."""
        validate_outgoing: Literal["off", "log", "error"] = "off"
        """What to do with a message of the server that does not fit its schema."""
        reload: bool | None = None
        """Take up changed schema files while running; None: under ``wsframe run --reload``."""

        def __post_init__(self) -> None:
            if not 1 <= self.max_errors <= 100:
                raise ValueError("max_errors must be between 1 and 100")
            for name in ("max_message_length", "max_content_length"):
                limit = getattr(self, name)
                if limit is not None and limit < 1:
                    raise ValueError(f"{name} must be at least 1")

    def __init__(self, config: Config) -> None:
        self.config = config
        self._rules: Rules | None = None
        self._accepts: dict[str, Callable[[Any], bool]] = {}
        self._limited = any(
            limit is not None
            for limit in (
                config.allowed_types, config.max_message_length, config.max_content_length
            )
        )  # fmt: skip
        self._allowed = None if config.allowed_types is None else frozenset(config.allowed_types)
        self._watcher: Watcher | None = None
        if config.validate_outgoing == "off":
            # A hook that does nothing still costs every message.
            self.message_sending = None  # type: ignore[method-assign,assignment]

    def folders(self, app: App | None = None) -> list[Path]:
        """The folders of schema files: the configuration's, then the application's."""
        named = self.config.folders
        if named is None:
            named = (DEFAULT_FOLDER,) if Path(DEFAULT_FOLDER).is_dir() else ()
        found = [Path(each) for each in named]
        found += app.schema_folders if app is not None else []
        return list({each.resolve(): each for each in found}.values())

    @hookimpl
    def register_commands(self, cli: click.Group) -> None:
        """Add ``wsframe schema``."""
        from .commands import make_group

        cli.add_command(make_group(self))

    @hookimpl
    async def started(self, app: App) -> None:
        """Load the schemas; every plugin has named its folders by now."""
        folders = self.folders(app)
        self._rules = None
        self._accepts = {}
        if not folders:
            return
        from .files import stamp
        from .reloading import Watcher

        seen = stamp(folders)
        self._follow(self._load(folders))
        reload = self.config.reload
        if reload if reload is not None else "WSFRAME_RELOAD_PIPE" in os.environ:
            self._watcher = Watcher(folders, lambda: self._reload(folders), seen)
            self._watcher.start()

    @hookimpl
    async def stopping(self) -> None:
        """Stop looking for changed files."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.stop()

    def engine(self) -> Engine:
        """What checks, as configured.

        Raises:
            PluginError: it is not installed.
        """
        from .engines import choose_engine

        try:
            return choose_engine(self.config.engine)
        except ImportError as error:
            raise PluginError(
                "validation",
                f"the engine {self.config.engine!r} is not installed",
                hint="Install it: pip install 'wsframe-validation[fast]'",
            ) from error

    def _load(self, folders: list[Path]) -> Rules:
        from .rules import load_rules

        engine = self.engine()
        rules, problems = load_rules(folders, engine)
        if problems:
            for problem in problems[1:]:
                log.error("schema %s", problem)
            raise PluginError(
                "validation",
                f"schema {problems[0]}",
                hint="'wsframe schema check' shows everything that is wrong.",
            )
        if rules.files:
            log.info(
                "%d schemas of client messages, %d of server messages, checked by %s",
                len(rules.incoming),
                len(rules.outgoing),
                engine.name,
            )
        return rules

    def _follow(self, rules: Rules) -> None:
        """Let these rules be in force."""
        self._accepts = {
            name: rule.schema.is_valid
            for name, rule in rules.incoming.items()
            if rule.plan is None  # nothing has to be cleaned before
        }
        self._rules = rules

    def _reload(self, folders: list[Path]) -> None:
        try:
            self._follow(self._load(folders))
        except PluginError as error:
            log.error("the old schemas stay in force: %s", error)
        except Exception:
            log.exception("the old schemas stay in force")

    @hookimpl
    async def message_received(
        self,
        connection: Connection,  # noqa: ARG002 - a hook that takes everything needs no adapter
        message: Message[Any],
    ) -> None:
        """Refuse a message whose type is not allowed, or whose content is too long or wrong."""
        if self._limited:
            self._check_limits(message)
        accepts = self._accepts.get(message.type)
        if accepts is not None:
            try:
                if accepts(message.content):
                    return
            except ValueError:  # the rule knows why
                pass
        if self._rules is None:
            return
        rule = self._rules.incoming.get(message.type)
        if rule is not None:
            message.content, errors = rule.check(message.content, self.config.max_errors)
            if errors:
                raise Refused("invalid_content", details=[error.shown() for error in errors])

    def _check_limits(self, message: Message[Any]) -> None:
        if self._allowed is not None and message.type not in self._allowed:
            raise Refused("forbidden", "Messages of this type are not allowed.")
        limit = self.config.max_message_length
        if limit is not None and any(len(text) > limit for text in _texts(message.content)):
            raise Refused(
                "invalid_content",
                f"A text is longer than {limit} characters.",
            )
        limit = self.config.max_content_length
        if limit is not None and len(msgspec.json.encode(message.content)) > limit:
            raise Refused("message_too_big", f"The content is larger than {limit} bytes.")

    @hookimpl(trylast=True)
    async def message_sending(self, message: Message[Any]) -> None:
        """Check a message of the server, behind everybody who changes it."""
        if self._rules is None:
            return
        rule = self._rules.outgoing.get(message.type)
        if rule is None:
            return
        # Structs, dates and all the rest, as they will be on the wire.
        plain = msgspec.to_builtins(message.content, str_keys=True)
        _, errors = rule.check(plain, self.config.max_errors)
        if errors:
            self._complain(message, errors)

    def _complain(self, message: Message[Any], errors: list[Error]) -> None:
        # Where and why, but nothing of the content: logs are read by others than users are.
        places = "; ".join(f"{error.path} ({error.keyword})" for error in errors)
        log.error("a message of type %r does not fit its schema: %s", message.type, places)
        if self.config.validate_outgoing == "error":
            refused = Refused("internal", "The answer does not fit its schema.")
            refused.add_note(places)
            raise refused


def _texts(value: Any) -> Iterator[str]:
    """Every text in a content, keys aside."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
