"""The application of the contract suite inside FastAPI and Starlette."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.integration.contract_app import app, make_app

fastapi_with_lifespan = FastAPI(lifespan=app.lifespan)
fastapi_with_lifespan.mount("/", app)

fastapi_without_lifespan = FastAPI()
fastapi_without_lifespan.mount("/", make_app())

_inner = make_app()
starlette_with_lifespan = Starlette(lifespan=_inner.lifespan, routes=[Mount("/chat", app=_inner)])

starlette_without_lifespan = Starlette(routes=[Mount("/chat", app=make_app())])
