"""SANS-IO: HTTP heads and WebSocket frames to events, and back.

Nothing in here knows a socket, a clock or a source of randomness; what depends on them comes in as
an argument. A frame is parsed in :mod:`~wsframe.protocol.frames` (the hot path) or
:mod:`~wsframe.protocol.wsproto_driver` (everything else); both stand behind
:class:`~wsframe.protocol.connection.WebSocket`.
"""
