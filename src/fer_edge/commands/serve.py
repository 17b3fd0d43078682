"""`fer serve`: a page to look through, and an interface for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fer_edge.commands.console import note
from fer_edge.commands.options import (
    VIDEO,
    DetectorOption,
    DeviceOption,
    argument,
    command,
    option,
    single,
)
from fer_edge.commands.recognizer_options import (
    AlignOption,
    DetectScoreOption,
    DetectSideOption,
    FacesOption,
    FastestBackendOption,
    MaxPixelsOption,
    MinConfidenceOption,
    MinFaceOption,
    ModelOption,
    ThreadsOption,
    find_model,
    parse_side,
)
from fer_edge.errors import ConfigError, requires_extra

ADDRESS, ACCESS, LIMITS = "Address", "Access", "Limits"
"""Panels of the help."""
INSECURE_WARNING = (
    "--insecure: everyone in the network can use this server and see the camera, without a token"
)
PLAIN_WARNING = (
    "without --certfile and --keyfile, the token and the camera's frames cross the network in "
    "plain text"
)

app = single()


@command(
    app,
    "fer serve 0",
    "fer serve 0 --host 0.0.0.0 --token-file token",
    "fer serve",
    "fer serve clip.mp4 --port 8080",
)
def serve(
    source: Annotated[
        str | None,
        argument("Camera number, video or stream address to show live; none: requests only."),
    ] = None,
    host: Annotated[
        str,
        option(
            ADDRESS,
            "--host",
            help="Address to listen on. 0.0.0.0: every network; needs a token or --insecure.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, option(ADDRESS, "--port", min=0, max=65535, help="TCP port; 0: a free one.")
    ] = 8000,
    certfile: Annotated[
        Path | None, option(ADDRESS, "--certfile", help="Certificate chain for TLS (.pem).")
    ] = None,
    keyfile: Annotated[
        Path | None, option(ADDRESS, "--keyfile", help="Key of the certificate (.pem).")
    ] = None,
    token: Annotated[
        str | None,
        option(
            ACCESS,
            "--token",
            help="Token that clients must send. Other users of this machine see it in the list "
            "of processes: prefer --token-file.",
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        option(ACCESS, "--token-file", help="File with the token, which only its owner may read."),
    ] = None,
    insecure: Annotated[
        bool,
        option(ACCESS, "--insecure", help="Let other machines connect without a token."),
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        option(
            ACCESS,
            "--allow-host",
            help="Another name under which clients reach this machine; may be repeated.",
        ),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        option(
            ACCESS,
            "--allow-origin",
            help="A web page's origin (https://example.org) that may call the interface (CORS); "
            "may be repeated.",
        ),
    ] = None,
    max_fps: Annotated[
        float,
        option(VIDEO, "--max-fps", min=0, help="Read at most this many frames per second; 0: all."),
    ] = 15.0,
    faces: FacesOption = "auto",
    detector: DetectorOption = None,
    detect_side: DetectSideOption = "auto",
    detect_score: DetectScoreOption = None,
    min_face: MinFaceOption = 10,
    align: AlignOption = True,
    model: ModelOption = None,
    backend: FastestBackendOption = "auto",
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    min_confidence: MinConfidenceOption = 0.0,
    max_pixels: MaxPixelsOption = None,
    max_body: Annotated[
        float, option(LIMITS, "--max-body", help="Size of a request's body, in MB.")
    ] = 16.0,
    max_images: Annotated[int, option(LIMITS, "--max-images", help="Images of one request.")] = 16,
    max_requests: Annotated[
        int,
        option(
            LIMITS,
            "--max-requests",
            help="Prediction requests at once; further ones get 503 and Retry-After.",
        ),
    ] = 8,
    max_connections: Annotated[
        int, option(LIMITS, "--max-connections", help="Open connections.")
    ] = 64,
    max_viewers: Annotated[
        int, option(LIMITS, "--max-viewers", help="Viewers of the live stream.")
    ] = 8,
    timeout: Annotated[
        float, option(LIMITS, "--timeout", help="Seconds for the prediction of one request.")
    ] = 30.0,
    header_timeout: Annotated[
        float, option(LIMITS, "--header-timeout", help="Seconds for a request's header to arrive.")
    ] = 10.0,
    body_timeout: Annotated[
        float, option(LIMITS, "--body-timeout", help="Seconds for a request's body to arrive.")
    ] = 30.0,
    stall_timeout: Annotated[
        float,
        option(
            LIMITS,
            "--stall-timeout",
            help="Seconds after which a client that reads nothing is disconnected.",
        ),
    ] = 20.0,
) -> None:
    """Show a camera's live expressions on a web page, and recognize images over HTTP.

    Without a source, the server recognizes the images of requests only. It listens on this machine
    alone, unless --host names another address.
    """
    with requires_extra("serve"):
        from fer_edge.serve.server import make_server, run_server
    from fer_edge.runtime.inputs.video import Cut
    from fer_edge.runtime.inputs.video_source import mask_credentials
    from fer_edge.runtime.recognizer import Recognizer
    from fer_edge.serve.settings import Limits, Settings, read_token

    if token is not None and token_file is not None:
        raise ConfigError("--token and --token-file: give one of them")
    settings = Settings(
        host=host,
        port=port,
        token=token if token_file is None else read_token(token_file),
        insecure=insecure,
        hosts=tuple(allow_host or ()),
        origins=tuple(allow_origin or ()),
        certfile=certfile,
        keyfile=keyfile,
        limits=Limits(
            max_body=round(max_body * 1e6),
            max_images=max_images,
            max_requests=max_requests,
            max_connections=max_connections,
            max_viewers=max_viewers,
            request_timeout=timeout,
            header_timeout=header_timeout,
            body_timeout=body_timeout,
            stall_timeout=stall_timeout,
        ),
    )
    recognizer = Recognizer.load(
        find_model(model),
        backend=backend,
        device=device,
        threads=threads,
        faces=faces,
        detector=detector,
        detect_side=parse_side(detect_side),
        detect_score=detect_score,
        min_face=min_face,
        align=align,
        min_confidence=min_confidence,
        max_pixels=max_pixels,
    )
    if settings.is_public and settings.token is None:
        typer.secho(INSECURE_WARNING, fg="red", bold=True, err=True)
    elif settings.is_public and settings.certfile is None:
        note(PLAIN_WARNING)

    def report(url: str) -> None:
        what = "requests alone" if source is None else mask_credentials(source)
        note(f"{recognizer.spec.title}, {what}: {url} (Ctrl-C ends it)")

    server = make_server(
        recognizer,
        settings,
        source=source,
        cut=Cut(max_fps=max_fps),
        min_confidence=min_confidence,
        max_pixels=max_pixels,
    )
    run_server(server, report)
