"""``wsframe token``: tokens for development."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import click
import jwt

from wsframe import StartError

from .config import Config
from .errors import InvalidToken, KeysUnavailable
from .sources import make_issuers
from .tokens import MAX_TIME, Verifier


def token_group(config: Config) -> click.Group:
    """The commands, which use the keys of ``[plugins.auth]``."""

    @click.group("token", short_help="Make and read tokens, for development.")
    def token() -> None:
        """Make and read JSON Web Tokens with the settings of [plugins.auth].

        \b
        Examples:
          wsframe token make ann --scope "chat admin" --expires-in 3600
          wsframe token make ann | wsframe token inspect -
        """  # noqa: D301 - click's marker for "do not rewrap"

    @token.command("make", short_help="Make a token.")
    @click.argument("subject")
    @click.option("--scope", metavar="WORDS", help="Scopes, with spaces between.")
    @click.option("--expires-in", type=float, default=3600.0, metavar="SECONDS", show_default=True)
    @click.option("--claim", "claims", multiple=True, metavar="NAME=VALUE", help="Any other claim.")
    @click.option(
        "--private-key",
        "private_key",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="PEM file to sign with; without it, the configured secret.",
    )
    @click.option("--kid", metavar="NAME", help="The name of that key.")
    def make(
        subject: str,
        *,
        scope: str | None,
        expires_in: float,
        claims: tuple[str, ...],
        private_key: Path | None,
        kid: str | None,
    ) -> None:
        """Make a token for SUBJECT and print it."""
        if not abs(expires_in) < MAX_TIME:
            raise click.UsageError(f"--expires-in {expires_in}: that is no time")
        now = int(time.time())
        payload: dict[str, Any] = {"sub": subject, "iat": now, "exp": now + round(expires_in)}
        if config.issuer is not None:
            payload["iss"] = config.issuer
        if config.audience:
            payload["aud"] = config.audience[0]
        if scope is not None:
            payload["scope"] = scope
        for claim in claims:
            name, equals, value = claim.partition("=")
            if not equals:
                raise click.UsageError(f"--claim {claim}: NAME=VALUE is needed")
            payload[name] = _value(value)
        click.echo(_sign(config, payload, private_key, kid))

    @token.command("inspect", short_help="Show what a token says, and if it counts.")
    @click.argument("text", metavar="TOKEN")
    def inspect(text: str) -> int:
        """Show header and claims of TOKEN, and whether this configuration accepts it.

        With - it is read from standard input, which keeps it out of the shell's history.
        """
        text = (sys.stdin.read() if text == "-" else text).strip()
        try:
            decoded = jwt.decode_complete(text, options={"verify_signature": False})
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise StartError("this is no JSON Web Token") from None
        click.echo(
            json.dumps({"header": decoded["header"], "claims": decoded["payload"]}, indent=2)
        )
        problem = _problem(config, text)
        click.echo("It counts." if problem is None else f"It does not count: {problem}.", err=True)
        return 0 if problem is None else 1

    return token


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _sign(
    config: Config, payload: dict[str, Any], private_key: Path | None, kid: str | None
) -> str:
    key: Any = None
    if private_key is not None:
        key = private_key.read_bytes()
    elif config.secret is not None:
        key = config.secret.encode()
    elif config.secret_file is not None:
        key = Path(config.secret_file).read_bytes().removesuffix(b"\n").removesuffix(b"\r")
    if key is None or not config.algorithms:
        raise StartError(
            "there is nothing to sign with",
            hint="Set secret and algorithms under [plugins.auth], or name a --private-key.",
        )
    try:
        headers = {"kid": kid} if kid is not None else None
        return jwt.encode(payload, key, algorithm=config.algorithms[0], headers=headers)
    except (jwt.PyJWTError, ValueError, TypeError):
        raise StartError(f"this key does not go with {config.algorithms[0]}") from None


def _problem(config: Config, token: str) -> str | None:
    """Why this configuration refuses a token; None: it does not."""
    import anyio

    verifier = Verifier(
        make_issuers(config, time.monotonic),
        require=config.require,
        leeway_s=config.leeway_s,
        scope_claims=config.scope_claims,
    )
    try:
        anyio.run(verifier.verify, token, time.time())
    except InvalidToken as error:
        return error.reason
    except KeysUnavailable:
        return "its key cannot be fetched"
    return None
