"""Threat 10: everything a server with tokens writes at debug level, and all that it answers."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from pathlib import Path

import jwt
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.running_server import RunningServer
from tests.security.token_scene import SECRET, claims, hs_token

WAIT_S = 60.0
"""A guard against hanging: what is waited for comes much earlier."""
APPLICATION = f"""\
from wsframe import App
from wsframe_auth import AuthPlugin, Config

auth = AuthPlugin(Config(
    secret={SECRET!r}, algorithms=("HS256",), cookie="chat", cookie_origins=("https://chat.example",),
    query_parameter="ticket", init_timeout_s=300,
))
app = App(plugins=[auth])

@app.handler("fail")
async def fail(message, connection):
    raise RuntimeError(f"{{auth!r}} {{connection!r}} {{connection.request!r}}")

@app.handler("revoke")
async def revoke(message, connection):
    auth.revoke(subject=connection.identity.subject)
"""


def test_10_no_token_and_no_secret_is_in_logs_answers_or_metrics(tmp_path: Path) -> None:
    (tmp_path / "chat.py").write_text(APPLICATION)
    command = ["wsframe", "run", "chat:app", "--port", "0", "--debug", "*", "-p", "no:origin"]
    command += ["--log-level", "debug"]
    tokens = {name: hs_token(jti=name) for name in ("header", "subprotocol", "init", "renewed")}
    tokens |= {name: hs_token(jti=name) for name in ("cookie", "query")}
    tokens["expired"] = hs_token(exp=int(time.time()) - 100)
    tokens["forged"] = hs_token(secret="some other secret of thirty-two bytes")
    tokens["unsigned"] = jwt.encode(claims(), "", algorithm="none") + "c2lnbmF0dXJl"
    tokens["somebody else's"] = hs_token(sub="eve")
    answers: list[str] = []
    with RunningServer(command, cwd=tmp_path, settings={"WSFRAME_TRACE_PLUGINS": "1"}) as server:

        def talk(
            query: str = "", *, headers: dict[str, str], offered: str = "", **init: str
        ) -> None:
            protocols = [Subprotocol("wsframe.v1.json")]
            if offered:
                protocols.append(Subprotocol(f"wsframe.bearer.{offered}"))
            url = server.ws_url + query
            try:
                with connect(
                    url,
                    subprotocols=protocols,
                    additional_headers=headers,
                    open_timeout=WAIT_S,
                ) as client:
                    answers.append(str(client.response))
                    for number, (kind, content) in enumerate(
                        {
                            "init": init,
                            "fail": {},
                            "auth": {"token": tokens["renewed"]},
                            "auth ": {"token": tokens["somebody else's"]},
                            "auth  ": {"token": tokens["forged"]},
                            "auth   ": {"token": [tokens["forged"]]},
                        }.items()
                    ):
                        message = {"id": str(number), "type": kind.strip(), "content": content}
                        client.send(json.dumps(message))
                        answers.append(str(client.recv(WAIT_S)))
            except InvalidStatus as refused:
                answers.append(f"{refused.response} {refused.response.body!r}")
            except ConnectionClosed as closed:
                answers.append(str(closed))

        talk(headers={"Authorization": f"Bearer {tokens['header']}"})
        talk(headers={}, offered=tokens["subprotocol"])
        talk(headers={}, token=tokens["init"])
        page = {"Cookie": f"chat={tokens['cookie']}", "Origin": "https://chat.example"}
        talk(headers=page)
        talk(headers={**page, "Origin": "https://evil.example"})
        talk(f"?ticket={tokens['query']}", headers={})
        for bad in ("expired", "forged", "unsigned"):
            talk(headers={"Authorization": f"Bearer {tokens[bad]}"})
            talk(f"?ticket={tokens[bad]}", headers={})
            talk(headers={}, offered=tokens[bad])
            talk(headers={}, token=tokens[bad])
        talk(headers={"Authorization": f"Bearer {tokens['header']}"}, offered=tokens["query"])
        with urllib.request.urlopen(f"{server.http_url}/metrics.json") as metrics:
            answers.append(metrics.read().decode())
        with connect(server.ws_url, additional_headers=page, open_timeout=WAIT_S) as client:
            client.send('{"id": "1", "type": "revoke"}')
            answers.append(str(client.recv(WAIT_S)))
            with pytest.raises(ConnectionClosed):
                client.recv(WAIT_S)
        server.stop()
        output = "".join(server.output)
    said = "".join(answers)
    assert said.count('"subject":"ann"') >= 5
    assert said.count('"code":"handler_failed"') == 5
    assert len(re.findall('"code": ?"unauthenticated"', said)) >= 12
    assert said.count('"code":"forbidden"') >= 5
    assert "refused a token from" in output
    assert "all tokens of 'ann' were revoked" in output
    for text in (said, output):
        assert SECRET not in text
        for token in tokens.values():
            for part in (token, token.rpartition(".")[2], token.split(".")[1]):
                assert len(part) < 8 or part not in text
