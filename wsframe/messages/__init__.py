"""Messages without I/O: the envelope, its codecs, and what a message may contain."""

from wsframe.errors import InvalidMessage
from wsframe.messages.codec import Codec, codec_for, json_codec, msgpack_codec
from wsframe.messages.content import convert_content, has_other_keys
from wsframe.messages.envelope import MAX_ID_CHARACTERS, TYPE_PATTERN, Message, Reply, check_type
from wsframe.messages.stamps import MessageIds, Timestamps

__all__ = [
    "MAX_ID_CHARACTERS",
    "TYPE_PATTERN",
    "Codec",
    "InvalidMessage",
    "Message",
    "MessageIds",
    "Reply",
    "Timestamps",
    "check_type",
    "codec_for",
    "convert_content",
    "has_other_keys",
    "json_codec",
    "msgpack_codec",
]
