"""What counts as which origin."""

from __future__ import annotations

import pytest
from wsframe_origin.origins import Origin, Pattern, parse_host, parse_origin, parse_pattern


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://chat.example", Origin("https", "chat.example", 443)),
        ("http://chat.example", Origin("http", "chat.example", 80)),
        ("https://chat.example:443", Origin("https", "chat.example", 443)),
        ("http://localhost:5173", Origin("http", "localhost", 5173)),
        ("HTTPS://Chat.EXAMPLE", Origin("https", "chat.example", 443)),
        ("https://xn--bcher-kva.example", Origin("https", "xn--bcher-kva.example", 443)),
        ("https://chat.example.", Origin("https", "chat.example.", 443)),
        ("http://[::1]:3001", Origin("http", "[::1]", 3001)),
        ("app-extension://abcdef", Origin("app-extension", "abcdef", None)),
    ],
)
def test_an_origin_has_a_scheme_a_host_and_a_port(text: str, origin: Origin) -> None:
    assert parse_origin(text) == origin


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "*",
        "chat.example",
        "https://",
        "https:///",
        "https://chat.example/",
        "https://chat.example/path",
        "https://chat.example?query",
        "https://chat.example#fragment",
        "https://chat.example@evil.example",
        "https://user:password@chat.example",
        "https://chat.example:",
        "https://chat.example:0",
        "https://chat.example:0443",
        "https://chat.example:65536",
        "https://chat.example:-443",
        "https://chat.example:４４３",
        "https://chat.example https://evil.example",
        "https://chat.example, https://evil.example",
        "https://chat.example\n",
        " https://chat.example",
        "https://chat..example",
        "https://.chat.example",
        "https://-chat.example",
        "https://chat%2eexample",
        "https://bücher.example",
        "https://chat\u3002example",
        "https://\u212aelvin.example",
        "https://chat.example\\.evil.example",
        "https://chat.example\x00.evil.example",
        "https://" + "a" * 64 + ".example",
    ],
)
def test_what_no_browser_sends_is_no_origin(text: str) -> None:
    assert parse_origin(text) is None


def test_a_long_hostile_value_is_refused_at_once() -> None:
    assert parse_origin("https://" + "a." * 100_000 + "!") is None
    assert parse_origin("https://" + "a-" * 100_000) is None


def test_a_host_header_takes_its_port_from_the_scheme() -> None:
    assert parse_host("Chat.example", "https") == ("chat.example", 443)
    assert parse_host("chat.example:3001", "https") == ("chat.example", 3001)
    assert parse_host("[::1]:3001", "http") == ("[::1]", 3001)
    assert parse_host("evil.example/chat.example", "https") is None
    assert parse_host("user@chat.example", "https") is None


@pytest.mark.parametrize(
    "text",
    ["https://chat.example/", "chat.example", "*.chat.example", "https://*", "https://a.*.example"],
)
def test_a_pattern_that_is_no_origin_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="is not an origin"):
        parse_pattern(text)


@pytest.mark.parametrize("text", ["https://*.example", "https://*.com", "http://*.0.0.1"])
def test_a_wildcard_that_lets_in_half_the_world_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="at least two names"):
        parse_pattern(text)


def test_a_pattern_in_unicode_is_refused_because_browsers_send_punycode() -> None:
    with pytest.raises(ValueError, match="xn--"):
        parse_pattern("https://bücher.example")


def test_allowing_everybody_is_refused_because_disabling_says_it_better() -> None:
    with pytest.raises(ValueError, match="no:origin"):
        parse_pattern("*")


def matches(pattern: str, text: str) -> bool:
    parsed, origin = parse_pattern(pattern), parse_origin(text)
    assert isinstance(parsed, Pattern)
    assert origin is not None
    return parsed.matches(origin)


def test_a_pattern_matches_scheme_host_and_port_exactly() -> None:
    assert matches("https://chat.example", "https://chat.example")
    assert matches("https://Chat.Example:443", "https://chat.example")
    assert not matches("https://chat.example", "http://chat.example")
    assert not matches("https://chat.example", "https://chat.example:8443")
    assert not matches("https://chat.example", "https://chat.example.")
    assert not matches("https://chat.example", "https://chat.example.evil.example")
    assert not matches("https://chat.example", "https://evilchat.example")
    assert not matches("https://chat.example", "https://www.chat.example")


def test_a_wildcard_matches_hosts_below_and_nothing_beside() -> None:
    assert matches("https://*.chat.example", "https://eu.chat.example")
    assert matches("https://*.chat.example", "https://a.b.chat.example")
    assert not matches("https://*.chat.example", "https://chat.example")
    assert not matches("https://*.chat.example", "https://evilchat.example")
    assert not matches("https://*.chat.example", "https://eu.chat.example.evil.example")
    assert not matches("https://*.chat.example", "https://eu.chat.example.")
    assert not matches("https://*.chat.example", "https://eu.chat.example:8443")
    assert not matches("https://*.chat.example", "http://eu.chat.example")
