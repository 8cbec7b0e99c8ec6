"""The plugin keeps the contract of plugins."""

from __future__ import annotations

import time

import jwt
from wsframe_auth import AuthPlugin

from wsframe.testing.plugins import PluginContract

SECRET = "a secret of at least thirty-two bytes"


class TestContract(PluginContract):
    plugin = AuthPlugin
    settings = {
        "secret": SECRET,
        "algorithms": ["HS256"],
        "permissions": {"contract.unknown": ["admin"]},
    }

    def connect_options(self) -> dict[str, object]:
        claims = {"sub": "ann", "exp": int(time.time()) + 36_000, "scope": "talk"}
        return {"token": jwt.encode(claims, SECRET, algorithm="HS256")}


class TestContractWithATokenInInit(TestContract):
    settings = {**TestContract.settings, "query_parameter": "token", "init_timeout_s": 10}

    def connect_options(self) -> dict[str, object]:
        return {"init_content": super().connect_options()}
