"""From bytes to requests."""

from __future__ import annotations

import pytest

from tests.protocol.http_feeding import LIMIT, UPGRADE, Refusal, feed, head, in_bytes, read
from wsframe import Request, RequestRefused
from wsframe.protocol.head import MAX_HEADERS
from wsframe.protocol.http import RequestParser

BAD = Refusal(400, "bad_request")


def test_a_request_has_its_parts() -> None:
    request = read(head("X-One:  two words \t", start="GET /room%20a/b?x=%31&y HTTP/1.1"))
    assert isinstance(request, Request)
    assert (request.method, request.target) == ("GET", "/room%20a/b?x=%31&y")
    assert (request.path, request.query) == ("/room a/b", "x=%31&y")
    assert request.headers == (("host", "chat.example"), ("x-one", "two words"))
    assert (request.address, request.secure, request.body) == ("192.0.2.7", False, b"")
    assert request.keep_alive


def test_headers_are_found_by_lower_case_name_and_duplicates_are_kept_in_order() -> None:
    request = read(head("ORIGIN: a", "Origin: b", "X-Origin: c", "Empty:"))
    assert isinstance(request, Request)
    assert request.header("origin") == "a"
    assert request.headers_all("origin") == ("a", "b")
    assert request.header("empty") == ""
    assert request.header("missing") is None
    assert request.headers_all("missing") == ()
    assert request.fields() == {
        "host": ("chat.example",),
        "origin": ("a", "b"),
        "x-origin": ("c",),
        "empty": ("",),
    }
    assert Request("GET", "/").fields() == {}


def test_a_header_value_is_never_taken_for_a_header() -> None:
    request = read(head("X: origin: evil", start="GET /origin:%20x HTTP/1.1"))
    assert isinstance(request, Request)
    assert request.header("origin") is None


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", ""),
        ("/?", "/", ""),
        ("/a?b?c", "/a", "b?c"),
        ("/%e2%82%ac", "/€", ""),
        ("//double", "//double", ""),
        ("*", "*", ""),
        ("http://chat.example/a?b", "/a", "b"),
        ("ws://chat.example", "/", ""),
        ("wss://CHAT.example?b", "/", "b"),
    ],
)
def test_targets_of_every_form_have_a_path_and_a_query(target: str, path: str, query: str) -> None:
    request = read(head(start=f"GET {target} HTTP/1.1"))
    assert isinstance(request, Request)
    assert (request.path, request.query) == (path, query)


@pytest.mark.parametrize(
    "target",
    ["/a#b", "/%", "/%zz", "/%4", "/%ff", "/%00", "/a%0d%0ab", "/%1b[31m", "/%c2%85", "/%e2%80%ae"],
)
def test_targets_with_malformed_or_unprintable_paths_are_refused(target: str) -> None:
    assert read(head(start=f"GET {target} HTTP/1.1")) == BAD


def test_a_target_for_another_host_than_the_header_names_is_refused() -> None:
    assert read(head(start="GET http://other.example/ HTTP/1.1")) == BAD


@pytest.mark.parametrize(
    "host",
    [
        "chat.example",
        "chat.example:3001",
        "127.0.0.1:80",
        "[::1]:3001",
        "[fe80::1%25eth0]",
        "under_score",
        "xn--bcher-kva.example",
        "XN--BCHER-KVA.example",
    ],
)
def test_good_hosts_pass(host: str) -> None:
    assert isinstance(read(head(host=host)), Request)


def test_http_1_0_without_host_is_served_and_the_connection_not_kept() -> None:
    request = read(head("Connection: keep-alive", start="GET /healthz HTTP/1.0", host=None))
    assert isinstance(request, Request)
    assert request.http_version == "1.0"
    assert not request.keep_alive


def test_a_client_may_ask_not_to_keep_the_connection() -> None:
    request = read(head("Connection: Close"))
    assert isinstance(request, Request)
    assert not request.keep_alive


@pytest.mark.parametrize("version", ["HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/9.9"])
def test_other_versions_of_http_are_not_supported(version: str) -> None:
    assert read(head(start=f"GET /ws {version}")) == Refusal(505, "http_version_not_supported")


@pytest.mark.parametrize(
    "start",
    ["GET", "GET /", "GET / HTTP/1.1 ", "GET  / HTTP/1.1", "GET / http/1.1", "G@T / HTTP/1.1", "é"],
)
def test_a_malformed_request_line_is_refused(start: str) -> None:
    assert read(head(start=start)) == BAD


@pytest.mark.parametrize("first", [b"\x16\x03\x01\x02\x00", b"\r\n", b"\n", b" GET / HTTP/1.1"])
def test_what_cannot_become_http_is_refused_with_its_first_byte(first: bytes) -> None:
    assert read(first) == BAD
    assert feed([first[:1]]).outcome == BAD


@pytest.mark.parametrize(
    "line", ["No-Colon", ": no name", "Space : a", "Bad(Name): a", " Folded: a", "Host: twice"]
)
def test_a_malformed_header_is_refused(line: str) -> None:
    assert read(head(line)) == BAD


def test_an_http_1_1_request_without_host_is_refused() -> None:
    assert read(head(host=None)) == BAD


# Limits


def test_a_head_of_the_limit_passes_and_one_byte_more_is_too_large() -> None:
    filler = "a" * (LIMIT - len(head("F: ")))
    assert isinstance(feed([head(f"F: {filler}")]).outcome, Request)
    too_large = Refusal(431, "headers_too_large")
    assert feed([head(f"F: {filler}a")]).outcome == too_large
    assert read(head("F: " + "a" * 200), limit=100) == too_large


def test_a_request_line_over_the_limit_is_too_long() -> None:
    assert read(head(start="GET /" + "a" * 200), limit=100) == Refusal(414, "uri_too_long")


def test_more_headers_than_any_client_sends_are_too_many() -> None:
    fitting = [f"H{number}: x" for number in range(MAX_HEADERS - 1)]
    assert isinstance(feed([head(*fitting)]).outcome, Request)
    assert feed([head(*fitting, "One: more")]).outcome == Refusal(431, "headers_too_large")


# Bodies


def test_a_body_of_known_length_belongs_to_the_request() -> None:
    data = head("Content-Length: 5", start="POST /hook HTTP/1.1") + b"hello"
    request = read(data)
    assert isinstance(request, Request)
    assert (request.method, request.path, request.body) == ("POST", "/hook", b"hello")
    assert request.header("content-length") == "5"


def test_a_request_is_not_there_before_its_body_is() -> None:
    parser = RequestParser(LIMIT)
    assert not parser.started
    assert parser.receive_data(head("Content-Length: 2", start="POST / HTTP/1.1") + b"a") is None
    assert parser.started
    assert parser.trailing == b""
    request = parser.receive_data(b"bc")
    assert request is not None
    assert request.body == b"ab"
    assert parser.trailing == b"c"
    assert not parser.started


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("Content-Length: 65537", Refusal(413, "content_too_large")),
        ("Content-Length: 99999999999999999999", Refusal(413, "content_too_large")),
        ("Content-Length: 999999999999999999999", BAD),
        ("Content-Length: -1", BAD),
        ("Content-Length: +1", BAD),
        ("Content-Length: 1, 2", BAD),
        ("Content-Length: 1\r\nContent-Length: 2", BAD),
        ("Transfer-Encoding: chunked", Refusal(411, "length_required")),
        ("Transfer-Encoding: gzip", BAD),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", BAD),
    ],
)
def test_a_body_of_unknown_wrong_or_large_size_is_refused(line: str, refusal: Refusal) -> None:
    assert read(head(line, start="POST / HTTP/1.1")) == refusal


# What is behind a request


def test_frames_behind_a_handshake_are_kept() -> None:
    reading = feed([head(*UPGRADE) + b"\x81\x80abcd", b"more"])
    assert isinstance(reading.outcome, Request)
    assert reading.trailing == b"\x81\x80abcdmore"


def test_a_second_plain_request_is_kept_for_the_next_parser() -> None:
    second = head(start="GET /two HTTP/1.1")
    parser = RequestParser(LIMIT)
    first = parser.receive_data(head(start="GET /one HTTP/1.1") + second)
    assert first is not None
    assert first.path == "/one"
    next_request = RequestParser(LIMIT).receive_data(parser.trailing)
    assert next_request is not None
    assert next_request.path == "/two"


def test_a_peer_that_does_not_wait_for_the_answer_fills_no_memory() -> None:
    parser = RequestParser(1_000, max_body_bytes=1_000)
    assert parser.receive_data(head(*UPGRADE) + b"\x81") is not None
    assert parser.receive_data(b"x" * 1_999) is None
    with pytest.raises(RequestRefused) as caught:
        parser.receive_data(b"x")
    assert caught.value.status == 400
    assert parser.trailing == b""


def test_after_a_refusal_input_is_dropped() -> None:
    parser = RequestParser(LIMIT)
    with pytest.raises(RequestRefused):
        parser.receive_data(b"\x00")
    for chunk in in_bytes(head(*UPGRADE)):
        assert parser.receive_data(chunk) is None
    assert parser.trailing == b""


# The value


def test_a_request_never_changes() -> None:
    request = Request("GET", "/")
    with pytest.raises(AttributeError, match="never changes"):
        request.path = "/other"  # type: ignore[misc]
    with pytest.raises(AttributeError, match="never changes"):
        del request.path


def test_requests_are_equal_by_value() -> None:
    one = Request("GET", "/ws?a", [("Host", "a")], address="192.0.2.7")
    assert one == Request("GET", "/ws?a", (("host", "a"),), address="192.0.2.7")
    assert hash(one) == hash(Request("GET", "/ws?a", (("host", "a"),), address="192.0.2.7"))
    assert one != Request("GET", "/ws?b", (("host", "a"),), address="192.0.2.7")
    assert one != "GET /ws?a"


def test_path_and_query_may_be_told_by_a_transport_that_knows_them() -> None:
    mounted = Request("GET", "/chat/ws?a", path="/ws")
    assert (mounted.path, mounted.query) == ("/ws", "a")
    assert Request("GET", "/ws?a", query="b").query == "b"
    assert Request("GET", "/%ff", path="/x", query="y").path == "/x"


def test_the_text_of_a_request_shows_neither_query_nor_headers_nor_controls() -> None:
    request = Request("GET", "/ws?token=s3cret", [("Authorization", "Bearer s3cret")])
    assert repr(request) == "<Request GET '/ws' from unknown>"
    assert repr(Request("GET", "/", path="/\u200b", query="")).isprintable()


@pytest.mark.parametrize(
    ("name", "value"), [("a b", "c"), ("", "c"), ("a", "c\r\nd: e"), ("a", "é")]
)
def test_a_request_is_not_made_of_malformed_headers(name: str, value: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        Request("GET", "/", [(name, value)])
    assert caught.value.status == 400


@pytest.mark.parametrize("target", ["/é", "/\x7f", "é", "/%C3%A9é", "/?é", "/?\x1b", "/%20\ud800"])
def test_a_request_is_not_made_of_a_malformed_target(target: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        Request("GET", target)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [("/", "/\n", ""), ("/", "/", "é"), ("/é", "/", ""), ("/", "/\x9b", "")],
)
def test_what_a_transport_tells_of_the_target_is_checked_too(
    target: str, path: str, query: str
) -> None:
    with pytest.raises(RequestRefused) as caught:
        Request("GET", target, path=path, query=query)
    assert caught.value.status == 400
