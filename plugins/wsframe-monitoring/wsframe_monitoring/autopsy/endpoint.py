"""The HTTP endpoint, and who may ask it.

It tells who sent what when, though not what was in it. So without a token it answers this machine
alone, and only who asks for himself: more strictly than for numbers, which name nobody.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs

from wsframe import Request, RequestRefused, Response

from ..config import check_token, is_loopback
from ..endpoint import NOT_STORED, Access
from ..secret_files import read_secret
from .settings import AutopsySettings

LookUp = Callable[[str, str | None], dict[str, Any]]

MAX_ID_LENGTH: Final = 512
_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+))(?::[0-9]*)?")


class Endpoint:
    """Answers ``GET /trace?id=…``.

    Args:
        settings: who may ask.
        look_up: what is answered.

    Raises:
        PluginError: ``token_file`` cannot be read, or there is no token in it.
    """

    def __init__(self, settings: AutopsySettings, look_up: LookUp) -> None:
        self._look_up = look_up
        token = read_token(settings)
        self._needs_token = token is not None
        self._access = Access(None, token)

    async def answer(self, request: Request) -> Response:
        """Tell of the message that is asked for: 200, or 404 and why it is not known.

        Raises:
            RequestRefused: 401 or 403, who asks may not; 400, nothing is asked.
        """
        self._check(request)
        asked = parse_qs(request.query, keep_blank_values=True, max_num_fields=10)
        ids, sessions = asked.get("id", []), asked.get("session", [])
        if len(ids) != 1 or not 0 < len(ids[0]) <= MAX_ID_LENGTH or len(sessions) > 1:
            raise RequestRefused(400, "invalid_request", "Ask for one id: ?id=…")
        report = self._look_up(ids[0], sessions[0] if sessions else None)
        return Response.json(404 if "why" in report else 200, report, headers=NOT_STORED)

    def _check(self, request: Request) -> None:
        self._access.check(request)
        if not self._needs_token and not names_this_machine(request):
            raise RequestRefused(
                403,
                "forbidden",
                "Without a token, only this machine may ask, under its own name.",
            )


def read_token(settings: AutopsySettings) -> str | None:
    """The token that must be sent.

    Raises:
        PluginError: ``token_file`` cannot be read, or there is no token in it.
    """
    if settings.token_file is None:
        return settings.token
    return read_secret("autopsy.token_file", settings.token_file, check_token)


def names_this_machine(request: Request) -> bool:
    """Does a request from this machine mean this machine too?

    A web page whose name an attacker lets point here does not (DNS rebinding), nor do strangers
    that come through a proxy which passes on their ``Host``. One that passes on nothing at all
    speaks HTTP/1.0, as a rule.
    """
    host = _HOST.fullmatch(request.header("host") or "")
    name = "" if host is None else host[1] or host[2]
    return request.http_version == "1.1" and is_loopback(name)
