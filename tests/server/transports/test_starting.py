"""What keeps a server from starting is one clear error, and what a start adds can be taken back."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

import pytest
import trustme

from wsframe import Config, StartError
from wsframe.errors import ConfigError
from wsframe.server.additions import Additions
from wsframe.server.lifecycle import event_loop
from wsframe.server.listening import make_tls


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    for name in ("one", "other"):
        issued = authority.issue_cert(f"{name}.example")
        issued.private_key_pem.write_to_path(str(folder / f"{name}.key"))
        issued.cert_chain_pems[0].write_to_path(str(folder / f"{name}.pem"))
    (folder / "encrypted.key").write_text(
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"
    )
    return folder


def tls_of(folder: Path, certificate: str, key: str | None) -> ssl.SSLContext | None:
    return make_tls(
        Config(
            tls_certificate_file=str(folder / certificate),
            tls_key_file=None if key is None else str(folder / key),
        )
    )


def test_tls_is_spoken_with_a_certificate_and_its_key_only(certificates: Path) -> None:
    assert make_tls(Config()) is None
    context = tls_of(certificates, "one.pem", "one.key")
    assert context is not None
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("certificate", "key", "problem"),
    [
        ("none.pem", None, "there is no file .*none.pem"),
        ("one.pem", "none.key", "there is no file .*none.key"),
        ("one.pem", "other.key", "one.pem"),
        ("one.pem", "encrypted.key", "one.pem"),
        ("one.key", None, "one.key"),
    ],
)
def test_files_that_make_no_tls_are_named(
    certificates: Path, certificate: str, key: str | None, problem: str
) -> None:
    with pytest.raises(StartError, match=f"^TLS: .*{problem}") as raised:
        tls_of(certificates, certificate, key)
    assert raised.value.hint


def test_an_event_loop_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trio", None)
    monkeypatch.setitem(sys.modules, "uvloop", None)
    for backend in ("trio", "uvloop"):
        with pytest.raises(ConfigError, match=f"{backend} is not installed"):
            event_loop(Config(backend=backend))  # type: ignore[arg-type]
    assert event_loop(Config(backend="auto")) == ("asyncio", {"use_uvloop": False})
    assert event_loop(Config(backend="asyncio")) == ("asyncio", {"use_uvloop": False})


def test_what_was_added_is_taken_back_and_what_it_replaced_returns() -> None:
    table, items = {"kept": 1, "replaced": 2}, ["kept"]
    additions = Additions([table, items])
    table |= {"replaced": 3, "new": 4}
    items.append("new")
    additions.end()
    table["later"] = 5
    items.append("later")
    additions.take_back()
    assert table == {"kept": 1, "replaced": 2, "later": 5}
    assert items == ["kept", "later"]


def test_what_somebody_else_has_changed_since_stays() -> None:
    table, items = {"a": 1}, []
    additions = Additions([table, items])
    table["a"] = 2
    items.append("gone")
    additions.end()
    table["a"] = 3
    items.clear()
    additions.take_back()
    assert (table, items) == ({"a": 3}, [])
