"""Handlers, middleware and rooms: who answers what, and who hears what."""

from .handlers import DEFAULT, Coalesce, Handler, HandlerTable, Route, builtin_route
from .middleware import (
    ConnectionCall,
    ConnectionMiddleware,
    MessageCall,
    MessageMiddleware,
    compose_connection,
    compose_message,
)
from .rooms import Member, Rooms, check_room

__all__ = [
    "DEFAULT",
    "Coalesce",
    "ConnectionCall",
    "ConnectionMiddleware",
    "Handler",
    "HandlerTable",
    "Member",
    "MessageCall",
    "MessageMiddleware",
    "Rooms",
    "Route",
    "builtin_route",
    "check_room",
    "compose_connection",
    "compose_message",
]
