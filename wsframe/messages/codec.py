"""The two codecs, JSON and MessagePack: between a payload and a message.

Both carry plain values (:mod:`wsframe.messages.plain`), so what can be said in one can be said in
the other; only ``bytes`` differ: MessagePack has them, JSON writes them as base64 text.

msgspec keeps the last of several equal keys without a word. To refuse them without a second
parser on every message, a decoded message is encoded again and compared with what was received;
what is not obviously free of duplicates goes to the exact and slower check (see
:mod:`wsframe.messages.duplicates`).
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import msgspec

from wsframe.errors import InvalidMessage
from wsframe.messages import duplicates
from wsframe.messages.envelope import MAX_ID_CHARACTERS, Message
from wsframe.messages.plain import MAX_DEPTH, TOO_DEEP, find_problem, is_deeper, is_plain
from wsframe.messages.problems import invalid, invalid_with, problem_of

_CONTENT_DEPTH: Final = MAX_DEPTH - 1
_NEVER_TOO_DEEP: Final = 2 * MAX_DEPTH
"""Characters of JSON; a level takes at least two, its brackets."""


class _Identified(msgspec.Struct):
    """The one thing worth knowing of a message that is refused."""

    id: Any = None


class _Answer(msgspec.Struct, rename="camel"):
    """What makes a message of the server a final answer."""

    reply_to: str | None = None
    final: bool = False


_decode_json: Final = msgspec.json.Decoder(Message[Any]).decode
_json_id_decoder: Final = msgspec.json.Decoder(_Identified)
_decode_json_answer: Final = msgspec.json.Decoder(_Answer).decode
_encode_json: Final = msgspec.json.Encoder().encode
_decode_msgpack: Final = msgspec.msgpack.Decoder(Message[Any]).decode
_msgpack_id_decoder: Final = msgspec.msgpack.Decoder(_Identified)
_decode_msgpack_answer: Final = msgspec.msgpack.Decoder(_Answer).decode
_encode_msgpack: Final = msgspec.msgpack.Encoder().encode


class Codec(Protocol):
    """How messages travel: as JSON in text messages, or as MessagePack in binary ones."""

    @property
    def subprotocol(self) -> str:
        """The WebSocket subprotocol that stands for this codec."""

    @property
    def binary(self) -> bool:
        """True: payloads are WebSocket binary messages; False: text."""

    @property
    def invalid_code(self) -> str:
        """The error code for what this codec cannot decode."""

    def decode(self, payload: str | bytes) -> Message[Any]:
        """The message in ``payload``, whose size the caller has limited.

        Its ``type`` is any string (see ``check_type``); its content is plain.

        Raises:
            InvalidMessage: nothing else, whatever the payload. :attr:`invalid_code` when it
                cannot be decoded, ``invalid_envelope`` when it can, but is no envelope; the
                details name the place, ``message_id`` the id where one could be read.
        """

    def encode(self, message: Message[Any]) -> bytes:
        """The payload that carries ``message``.

        Content may be whatever msgspec encodes: plain values, Structs, dataclasses, datetimes,
        enums, sets, decimals. NaN and infinities become null, as in JavaScript.

        Raises:
            TypeError: the content holds an object that has no form on the wire.
            ValueError: a lone surrogate in a string, an integer of more than 64 bits, or maps
                and lists nested deeper than 100 levels (or within themselves).
        """

    def answered(self, payload: bytes) -> str | None:
        """The id of the message that a payload of our own is the final answer to.

        Returns:
            None: it is no final answer.
        """


class JsonCodec:
    """UTF-8 JSON (RFC 8259) in text messages."""

    __slots__ = ()

    subprotocol: Final = "wsframe.v1.json"
    binary: Final = False
    invalid_code: Final = "invalid_json"

    def decode(self, payload: str | bytes) -> Message[Any]:
        """See :meth:`Codec.decode`."""
        try:
            if isinstance(payload, bytes):
                payload = payload.decode()
            message = _decode_json(payload)
            if not duplicates.is_flat_and_unique(payload, message):
                self._check(payload, message)
        except msgspec.ValidationError as error:
            raise _not_an_envelope("invalid_json", _json_id_decoder, payload, error) from None
        except (ValueError, RecursionError) as error:
            raise _undecodable("invalid_json", error) from None
        return message

    def _check(self, text: str, message: Message[Any]) -> None:
        """Refuse integers over 64 bits, too many levels and equal keys."""
        try:
            # What JSON alone can say of all that this codec decodes: an integer over 64 bits.
            _encode_msgpack(message.content)
        except OverflowError:
            raise _not_plain("invalid_json", message) from None
        if len(text) > _NEVER_TOO_DEEP and is_deeper(message.content, _CONTENT_DEPTH):
            raise _not_plain("invalid_json", message)
        if not duplicates.surely_none_in_json(text, message, _encode_json(message)):
            duplicates.check_json(text, message)

    def encode(self, message: Message[Any]) -> bytes:
        """See :meth:`Codec.encode`."""
        try:
            _encode_msgpack(message.content)
            payload = _encode_json(message)
        except (OverflowError, RecursionError) as error:
            raise _unencodable(error) from None
        if len(payload) > _NEVER_TOO_DEEP and is_deeper(message.content, _CONTENT_DEPTH):
            raise ValueError(TOO_DEEP)
        return payload

    def answered(self, payload: bytes) -> str | None:
        """See :meth:`Codec.answered`."""
        answer = _decode_json_answer(payload)
        return answer.reply_to if answer.final else None


class MsgpackCodec:
    """MessagePack in binary messages, without extension types and with string keys only.

    What has no MessagePack form of its own (datetimes, keys that are numbers) is encoded as it
    is in JSON.
    """

    __slots__ = ()

    subprotocol: Final = "wsframe.v1.msgpack"
    binary: Final = True
    invalid_code: Final = "invalid_msgpack"

    def decode(self, payload: str | bytes) -> Message[Any]:
        """See :meth:`Codec.decode`."""
        try:
            if isinstance(payload, str):
                payload = payload.encode()
            message = _decode_msgpack(payload)
            if not is_plain(message.content, _CONTENT_DEPTH):
                raise _not_plain("invalid_msgpack", message)
            if not duplicates.surely_none_in_msgpack(payload, message, _encode_msgpack(message)):
                duplicates.check_msgpack(payload, message)
        except msgspec.ValidationError as error:
            raise _not_an_envelope("invalid_msgpack", _msgpack_id_decoder, payload, error) from None
        except (ValueError, RecursionError) as error:
            raise _undecodable("invalid_msgpack", error) from None
        return message

    def encode(self, message: Message[Any]) -> bytes:
        """See :meth:`Codec.encode`."""
        try:
            if not is_plain(message.content, _CONTENT_DEPTH):
                message = msgspec.structs.replace(message, content=_simplified(message.content))
            return _encode_msgpack(message)
        except (OverflowError, RecursionError) as error:
            raise _unencodable(error) from None

    def answered(self, payload: bytes) -> str | None:
        """See :meth:`Codec.answered`."""
        answer = _decode_msgpack_answer(payload)
        return answer.reply_to if answer.final else None


json_codec: Final = JsonCodec()
msgpack_codec: Final = MsgpackCodec()


def codec_for(subprotocol: str | None) -> Codec:
    """The codec of a connection: JSON unless ``wsframe.v1.msgpack`` was negotiated."""
    return msgpack_codec if subprotocol == msgpack_codec.subprotocol else json_codec


_OUT_OF_RANGE: Final = ("Integer value out of range", "Number out of range")


def _not_plain(code: str, message: Message[Any]) -> InvalidMessage:
    path, text = find_problem(message.content, _CONTENT_DEPTH)
    return invalid(code, f"$.content{path[1:]}", text, message.id)


def _undecodable(code: str, error: Exception) -> InvalidMessage:
    if isinstance(error, RecursionError):
        return invalid(code, "$", TOO_DEEP)
    if isinstance(error, UnicodeError):
        return invalid(code, "$", f"Not valid UTF-8: {error.reason} (byte {error.start})")  # type: ignore[attr-defined]
    return invalid(code, "$", str(error))


def _not_an_envelope(
    undecodable_code: str,
    id_decoder: msgspec.json.Decoder[_Identified] | msgspec.msgpack.Decoder[_Identified],
    payload: Any,
    error: msgspec.ValidationError,
) -> InvalidMessage:
    detail = problem_of(error)
    code = undecodable_code if detail["message"] in _OUT_OF_RANGE else "invalid_envelope"
    try:
        # msgspec reports the first thing it meets: behind a field of the wrong type there may
        # still be something that cannot be decoded at all, which counts for more.
        message_id = id_decoder.decode(payload).id
    except msgspec.ValidationError:
        message_id = None  # not even a map
    except (ValueError, RecursionError) as worse:
        return _undecodable(undecodable_code, worse)
    if type(message_id) is not str or not 1 <= len(message_id) <= MAX_ID_CHARACTERS:
        message_id = None
    return invalid_with(code, detail, message_id)


def _simplified(content: Any) -> Any:
    """``content`` as plain values; what cannot be is left to the encoder to refuse."""
    content = msgspec.to_builtins(content, builtin_types=(bytes,), str_keys=True)
    if is_deeper(content, _CONTENT_DEPTH):
        raise ValueError(TOO_DEEP)
    return _finite(content)


def _finite(value: Any) -> Any:
    if type(value) is dict:
        return {key: _finite(item) for key, item in value.items()}
    if type(value) is list or type(value) is tuple:
        return [_finite(item) for item in value]
    if type(value) is float and value - value != 0:
        return None
    return value


def _unencodable(error: Exception) -> ValueError:
    return ValueError(TOO_DEEP if isinstance(error, RecursionError) else str(error))
