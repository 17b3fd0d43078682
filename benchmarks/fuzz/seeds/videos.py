"""Short videos in many containers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
from PIL import Image

from benchmarks.fuzz.seeds.images import make_image

FORMATS = {
    ".mp4": "mpeg4", ".mov": "mpeg4", ".mkv": "mpeg4", ".avi": "mpeg4", ".ts": "mpeg2video",
    ".mpg": "mpeg1video", ".webm": "libvpx", ".mjpeg": "mjpeg", ".flv": "flv", ".gif": "gif",
    ".m4v": "mpeg4", ".wmv": "msmpeg4v3", ".h264": "libx264", ".3gp": "mpeg4",
    ".y4m": "wrapped_avframe",
}  # fmt: skip
"""By suffix: the codec."""
_FRAMES = 6


def write_videos(folder: Path) -> dict[str, bytes]:
    """Videos of 64 x 48 by suffix; those whose encoder libav lacks here are left out."""
    image = make_image("RGB").resize((64, 48))
    found = {}
    for suffix, codec in FORMATS.items():
        path = folder / f"seed{suffix}"
        try:
            _write(path, codec, image)
        except (av.FFmpegError, ValueError):
            continue
        found[suffix] = path.read_bytes()
    return found


def _write(path: Path, codec: str, image: Image.Image) -> None:
    from_image: Any = av.VideoFrame.from_image
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=10)
        stream.width, stream.height = image.size
        formats = stream.codec.video_formats
        stream.pix_fmt = "yuv420p" if formats is None else formats[0].name
        for i in range(_FRAMES):
            frame = from_image(image.rotate(15 * i))
            container.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        container.mux(stream.encode())
