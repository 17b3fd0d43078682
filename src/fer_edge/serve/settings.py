"""What a server may do and for whom: checked before it listens."""

from __future__ import annotations

import ipaddress
import re
import stat
from dataclasses import dataclass, fields
from pathlib import Path

from fer_edge.errors import ConfigError

MIN_TOKEN = 16
"""Characters: a shorter token could be guessed."""
_TOKEN = re.compile(r"[!-~]+")
_NAME = re.compile(r"[A-Za-z0-9.-]+")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:\d+)?|https?://\[[0-9A-Fa-f:.]+\](:\d+)?")


@dataclass(frozen=True)
class Limits:
    """How much clients may take.

    Attributes:
        max_body: bytes of a request's body.
        max_images: images of one request.
        max_requests: prediction requests that are read and computed at once; beyond, 503.
        max_connections: open connections; beyond, 503.
        max_viewers: viewers of the live stream; beyond, 503.
        request_timeout: seconds for the prediction of one request, waiting included.
        header_timeout: seconds for the header of a request to arrive.
        body_timeout: seconds for the body of a request to arrive.
        stall_timeout: seconds after which a client that reads nothing is disconnected.

    Raises:
        ConfigError: one isn't above 0.
    """

    max_body: int = 16 * 2**20
    max_images: int = 16
    max_requests: int = 8
    max_connections: int = 64
    max_viewers: int = 8
    request_timeout: float = 30.0
    header_timeout: float = 10.0
    body_timeout: float = 30.0
    stall_timeout: float = 20.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ConfigError(f"{field.name} must be above 0, not {getattr(self, field.name)}")


@dataclass(frozen=True)
class Settings:
    """Where a server listens, and who may use it.

    Attributes:
        host: address or name to listen on.
        port: TCP port; 0: a free one.
        token: clients must send it; None: they need none.
        insecure: other machines may connect without a token.
        hosts: further names under which clients reach it, as a Host header has them.
        origins: web pages of other origins that may call it, such as "https://example.org".
        certfile, keyfile: PEM files of the certificate chain and its key, for TLS.
        limits: see `Limits`.

    Raises:
        ConfigError: a value is invalid, or anyone in the network could use the server.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    insecure: bool = False
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    certfile: Path | None = None
    keyfile: Path | None = None
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"--port must be 0 to 65535, not {self.port}")
        if self.token is not None:
            check_token(self.token)
        if self.is_public and self.token is None and not self.insecure:
            raise ConfigError(
                f"--host {self.host}: everyone in the network could use the server and see the "
                "camera: add --token-file FILE, or --insecure to allow it"
            )
        if (self.certfile is None) != (self.keyfile is None):
            raise ConfigError("--certfile and --keyfile: give both or neither")
        for name in self.hosts:
            if not _NAME.fullmatch(name):
                raise ConfigError(f"--allow-host {name!r}: give a name without a port")
        for origin in self.origins:
            if not _ORIGIN.fullmatch(origin):
                raise ConfigError(
                    f"--allow-origin {origin!r}: give scheme and host, as in https://example.org"
                )

    @property
    def is_public(self) -> bool:
        """Whether other machines reach the server."""
        return not is_loopback(self.host)

    @property
    def scheme(self) -> str:
        """The scheme of its addresses, "http" or "https"."""
        return "http" if self.certfile is None else "https"


def is_loopback(host: str) -> bool:
    """Whether an address or name is that of this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_token(token: str) -> None:
    """Refuse a token that is short, or that an HTTP header cannot hold.

    Raises:
        ConfigError: it is.
    """
    if len(token) < MIN_TOKEN or not _TOKEN.fullmatch(token):
        raise ConfigError(
            f"the token must have {MIN_TOKEN} characters or more, ASCII without blanks: "
            "openssl rand -hex 16 makes one"
        )


def read_token(path: Path) -> str:
    """The token in a file that only its owner may read.

    Raises:
        ConfigError: other users may read the file, or it holds no token.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        mode = stat.S_IMODE(path.stat().st_mode)
        content = file.read(4096)
    if mode & 0o077:
        raise ConfigError(f"{path}: other users may read it (mode {mode:o}): chmod 600 {path}")
    token = content.decode("ascii", "replace").strip()
    try:
        check_token(token)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    return token
