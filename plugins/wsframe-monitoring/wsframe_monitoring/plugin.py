"""The plugin: what it adds to an application, and what runs beside it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anyio
from prometheus_client import GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.registry import CollectorRegistry

from wsframe import App, Background, Connection, Message, Outcome, hookimpl

from . import config as settings
from .access_log import AccessLog
from .alerts import Judge
from .autopsy.plugin import Autopsy
from .endpoint import Access, MetricsEndpoint
from .metrics import ServerCollector
from .secret_files import read_secret
from .statistics import Statistics
from .watching import Watching
from .webhook import Webhook

if TYPE_CHECKING:
    import click


class MonitoringPlugin:
    """Metrics, alerts and an access log.

    Args:
        config: ``[plugins.monitoring]``.

    Attributes:
        registry: what Prometheus is told; an application may put numbers of its own into it.
    """

    Config = settings.Config

    def __init__(self, config: settings.Config) -> None:
        self.config = config
        self.autopsy = Autopsy(config.autopsy)
        self.registry = CollectorRegistry()
        self._collector: ServerCollector | None = None
        self._access_log: AccessLog | None = None
        self._watching: Watching | None = None
        self._webhook: Webhook | None = None
        self._tasks: list[Background] = []
        if config.process:
            ProcessCollector(registry=self.registry)
            PlatformCollector(registry=self.registry)
            GCCollector(registry=self.registry)
        # A hook that does nothing still costs: every message, or every connection.
        if "messages" not in config.access_log:
            self.message_handled = None  # type: ignore[method-assign,assignment]
        if "connections" not in config.access_log:
            self.connection_opened = None  # type: ignore[method-assign,assignment]
            self.connection_closed = None  # type: ignore[method-assign,assignment]

    @hookimpl
    def register_commands(self, cli: click.Group) -> None:
        """Add ``wsframe trace``."""
        from .autopsy.commands import trace_command

        cli.add_command(trace_command(self.config.autopsy))

    @hookimpl
    def setup(self, app: App) -> None:
        """Add what there is to ask for, and begin to count."""
        config = self.config
        token = config.token
        if config.token_file is not None:
            token = read_secret("token_file", config.token_file, settings.check_token)
        statistics = Statistics(app.handles, config.buckets_s, config.max_types)
        judge = Judge(config.alerts, app.config.max_connections)
        self._webhook = self._make_webhook()
        self._watching = Watching(
            app, statistics, judge, config.interval_s, time.time,
            (lambda _: None) if self._webhook is None else self._webhook.send,
        )  # fmt: skip
        self._use(
            ServerCollector(
                app,
                statistics,
                max_codes=config.max_types,
                raised=judge.raised,
                lost_alerts=lambda: 0 if self._webhook is None else self._webhook.lost,
            )
        )
        if config.path:
            access = Access(config.allow, token)
            app.http_route(config.path)(MetricsEndpoint(self.registry, access))
        self._access_log = AccessLog(app, config)
        app.measure("message", statistics.message)
        app.measure("request", statistics.request)
        app.measure("request", self._access_log.request)
        app.measure("store", statistics.stored)
        if config.hooks:
            app.measure("hook", statistics.hook)
        self.autopsy.setup(app)

    def _make_webhook(self) -> Webhook | None:
        config = self.config
        url = config.webhook_url
        if config.webhook_url_file is not None:
            url = read_secret("webhook_url_file", config.webhook_url_file, settings.check_webhook)
        if url is None:
            return None
        return Webhook(url, config.webhook_token, config.webhook_timeout_s, config.webhook_attempts)

    def _use(self, collector: ServerCollector) -> None:
        """Let Prometheus be told by this collector, instead of that of an earlier start."""
        if self._collector is not None:
            self.registry.unregister(self._collector)
        self._collector = collector
        self.registry.register(collector)

    @hookimpl
    async def started(self) -> None:
        """Begin to look."""
        self.autopsy.started()
        watching, webhook = self._watching, self._webhook
        assert watching is not None, "setup() comes first"
        work = [watching.watch_loop, watching.watch_values]
        if webhook is not None:
            work.append(webhook.run)
        self._tasks = [Background(each, name="wsframe-monitoring") for each in work]
        for task in self._tasks:
            task.start()

    @hookimpl
    async def stopping(self) -> None:
        """Stop looking."""
        self.autopsy.stopping()
        while self._tasks:
            await self._tasks.pop().stop()
        if self._access_log is not None:
            self._access_log.close()

    @hookimpl
    async def connection_opened(self, connection: Connection) -> None:
        """Write a line of a connection that is open."""
        assert self._access_log is not None, "setup() comes first"
        self._access_log.opened(connection)

    @hookimpl
    async def connection_closed(self, connection: Connection, code: int, reason: str) -> None:
        """Write a line of a connection that has ended."""
        assert self._access_log is not None, "setup() comes first"
        self._access_log.closed(connection, code, reason, anyio.current_time())

    @hookimpl
    async def message_handled(
        self, connection: Connection, message: Message[Any], outcome: Outcome, elapsed_s: float
    ) -> None:
        """Write a line of a message that was answered."""
        assert self._access_log is not None, "setup() comes first"
        self._access_log.handled(connection, message, outcome, elapsed_s)
