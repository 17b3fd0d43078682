from __future__ import annotations

import shutil
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from fer_edge.errors import ConfigError
from fer_edge.runtime.recognizer import Recognizer
from fer_edge.serve.security import HEADERS, session_value
from fer_edge.serve.settings import Settings, read_token
from tests.serve.conftest import StartServer
from tests.serve.fake_camera import FakeCamera
from tests.support.files import EXAMPLE
from tests.support.processes import run_process

TOKEN = "0123456789abcdef"
IMAGE = EXAMPLE.read_bytes()
GUARDED = ("/v1/model", "/v1/status", "/v1/stream", "/readyz", "/metrics", "/openapi.json")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "", "a b", "192.0.2.7"])
def test_another_name_is_refused(start: StartServer, host: str) -> None:
    got = start().client.get("/v1/model", headers={"Host": host})
    assert got.status_code == 421


@pytest.mark.parametrize("host", ["localhost:9", "127.0.0.1", "[::1]:8000", "kitchen.example"])
def test_its_own_names_are_not(start: StartServer, host: str) -> None:
    client = start(hosts=("Kitchen.example",)).client
    assert client.get("/v1/model", headers={"Host": host}).status_code == 200


def test_a_server_for_the_network_is_reached_by_its_addresses(start: StartServer) -> None:
    client = start(host="0.0.0.0", insecure=True).client
    assert client.get("/healthz", headers={"Host": "192.0.2.7:8000"}).status_code == 200
    assert client.get("/healthz", headers={"Host": "rebound.example"}).status_code == 421


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://[", ""]
)
def test_a_page_of_another_origin_is_refused(start: StartServer, origin: str) -> None:
    headers = {"Origin": origin}
    got = start().client.post("/v1/predict", content=IMAGE, headers=headers)
    assert got.status_code == 403
    assert "access-control-allow-origin" not in got.headers


def test_the_page_itself_is_not(start: StartServer) -> None:
    run = start()
    got = run.client.post("/v1/predict", content=IMAGE, headers={"Origin": run.url})
    assert got.status_code == 200


def test_a_named_origin_may_call(start: StartServer) -> None:
    origin = {"Origin": "https://good.example"}
    client = start(origins=("https://good.example",), token=TOKEN).client
    asked = {**origin, "Access-Control-Request-Method": "POST"}
    before = client.options("/v1/predict", headers=asked)
    assert before.headers["access-control-allow-origin"] == "https://good.example"
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    got = client.post("/v1/predict", content=IMAGE, headers={**origin, **bearer})
    assert got.status_code == 200
    assert got.headers["access-control-allow-origin"] == "https://good.example"
    other = client.post("/v1/predict", content=IMAGE, headers={"Origin": "https://b.example"})
    assert other.status_code == 403


def test_a_websocket_of_another_origin_is_refused(start: StartServer, camera: FakeCamera) -> None:
    assert camera
    run = start(source="0")
    address = f"ws://127.0.0.1:{run.port}/v1/live"
    with pytest.raises(InvalidStatus) as refused:
        connect(address, origin="https://evil.example")  # type: ignore[arg-type]
    assert refused.value.response.status_code == 403
    with connect(address, origin=run.url):  # type: ignore[arg-type]
        pass


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong-wrong-wrong"},
        {"Authorization": f"Bearer {TOKEN}0"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer \xff".encode("latin-1")},
        {"Cookie": f"fer_edge_session={TOKEN}"},
        {"Cookie": "fer_edge_session="},
    ],
)
def test_without_the_token_nothing_is_shown(start: StartServer, headers: Any) -> None:
    client = start(token=TOKEN).client
    for path in GUARDED:
        got = client.get(path, headers=headers)
        assert got.status_code == 401
        assert got.headers["www-authenticate"] == "Bearer"
    assert client.post("/v1/predict", content=IMAGE, headers=headers).status_code == 401


def test_with_the_token(start: StartServer) -> None:
    run = start(token=TOKEN)
    run.client.headers["Authorization"] = f"Bearer {TOKEN}"
    assert run.client.get("/v1/model").status_code == 200
    assert run.client.post("/v1/predict", content=IMAGE).status_code == 200


def test_a_websocket_needs_the_token(start: StartServer, camera: FakeCamera) -> None:
    assert camera
    run = start(source="0", token=TOKEN)
    address = f"ws://127.0.0.1:{run.port}/v1/live"
    with pytest.raises(InvalidStatus) as refused:
        connect(address)
    assert refused.value.response.status_code == 401
    with connect(address, additional_headers={"Authorization": f"Bearer {TOKEN}"}) as viewer:
        assert '"status"' in viewer.recv(10)


def test_a_login_is_kept_in_a_cookie_that_scripts_cannot_read(start: StartServer) -> None:
    run = start(token=TOKEN)
    assert run.client.post("/login", json={"token": "wrong"}).status_code == 401
    got = run.client.post("/login", json={"token": TOKEN})
    assert got.status_code == 204
    cookie = got.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert run.client.get("/v1/model").status_code == 200
    run.client.post("/logout")
    assert run.client.get("/v1/model").status_code == 401


@pytest.mark.parametrize("content", [b"", b"[]", b'{"token": 1}', b"{", b"[" * 5000])
def test_a_login_without_a_token(start: StartServer, content: bytes) -> None:
    got = start(token=TOKEN).client.post("/login", content=content)
    assert got.status_code in (400, 413)


def test_another_page_cannot_log_in(start: StartServer) -> None:
    headers = {"Origin": "https://evil.example"}
    got = start(token=TOKEN).client.post("/login", json={"token": TOKEN}, headers=headers)
    assert got.status_code == 403


def test_what_needs_no_token(start: StartServer) -> None:
    client = start(token=TOKEN).client
    for path in ("/", "/main.js", "/style.css", "/healthz"):
        assert client.get(path).status_code == 200


def test_the_session_does_not_reveal_the_token() -> None:
    assert session_value(TOKEN) != session_value(f"{TOKEN}0")
    assert TOKEN not in session_value(TOKEN)


def test_every_response_has_the_security_headers(start: StartServer) -> None:
    client = start(token=TOKEN).client
    requests = (("GET", "/"), ("GET", "/v1/model"), ("GET", "/nothing"), ("POST", "/login"))
    for method, path in requests:
        headers = client.request(method, path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers


class BrokenRecognizer:
    """A recognizer with a bug."""

    def __init__(self, recognizer: Recognizer) -> None:
        self.spec = recognizer.spec

    def __call__(self, _: Any) -> Any:
        raise LookupError("a secret")


def test_the_response_to_a_bug_has_them_too(start: StartServer, recognizer: Recognizer) -> None:
    client = start(BrokenRecognizer(recognizer)).client
    got = client.post("/v1/predict", content=IMAGE)
    assert got.status_code == 500
    assert "a secret" not in got.text
    assert {name: got.headers.get(name) for name in HEADERS} == HEADERS
    counted = 'fer_requests_total{method="POST",path="/v1/predict",status="500"} 1.0'
    assert counted in client.get("/metrics").text.splitlines()


def test_other_addresses_need_a_token() -> None:
    for host in ("0.0.0.0", "::", "192.0.2.7", "board.local"):
        with pytest.raises(ConfigError, match=r"everyone in the network .*--token-file"):
            Settings(host=host)
        assert Settings(host=host, token=TOKEN).is_public
        assert Settings(host=host, insecure=True).is_public
    for host in ("127.0.0.1", "127.0.0.2", "::1", "localhost"):
        assert not Settings(host=host).is_public


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"token": "short"}, "16 characters or more"),
        ({"token": "with blanks in between"}, "without blanks"),
        ({"token": "ä" * 20}, "ASCII"),
        ({"certfile": Path("a")}, "--certfile and --keyfile"),
        ({"hosts": ("http://a",)}, "--allow-host"),
        ({"origins": ("good.example",)}, "--allow-origin"),
        ({"origins": ("*",)}, "--allow-origin"),
        ({"port": 70000}, "--port"),
    ],
)
def test_settings_that_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Settings(**values)


def test_a_token_file_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    assert read_token(path) == TOKEN
    path.chmod(0o640)
    with pytest.raises(ConfigError, match=r"mode 640\): chmod 600"):
        read_token(path)
    path.write_text("\n")
    path.chmod(0o400)
    with pytest.raises(ConfigError, match="token: the token must have"):
        read_token(path)


def test_the_certificate_must_be_one(start: StartServer, tmp_path: Path) -> None:
    for name in ("cert", "key"):
        (tmp_path / name).write_text("no")
    with pytest.raises(ConfigError, match=r"--certfile .*cert"):
        start(certfile=tmp_path / "cert", keyfile=tmp_path / "key")


def test_the_port_may_be_taken(start: StartServer) -> None:
    from fer_edge.serve.server import open_socket

    run = start()
    port = run.port
    with (
        pytest.raises(ConfigError, match=f"--port {port}: .*in use"),
        open_socket(Settings(port=port)),
    ):
        pass
    assert run.client.get("/healthz").status_code == 200


def test_tls(start: StartServer, tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        pytest.skip("openssl isn't installed")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    name = ("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1")
    make = (
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "1",
        *name,
    )
    assert run_process(*make, "-keyout", key, "-out", cert).returncode == 0
    run = start(certfile=cert, keyfile=key, token=TOKEN)
    trusted = ssl.create_default_context(cafile=str(cert))
    with httpx.Client(base_url=f"https://127.0.0.1:{run.port}", verify=trusted) as client:
        got = client.post("/login", json={"token": TOKEN}, headers={"Origin": str(client.base_url)})
        assert got.status_code == 204
        assert "Secure" in got.headers["set-cookie"]
        assert client.get("/v1/status").json()["token_required"]
