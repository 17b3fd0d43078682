"""Which containers and raw streams are read as videos, by suffix and by content."""

from __future__ import annotations

from pathlib import Path

_ISO, _MATROSKA = "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"

DEMUXERS = {
    ".3g2": _ISO, ".3gp": _ISO, ".f4v": _ISO, ".m4v": _ISO, ".mov": _ISO, ".mp4": _ISO, ".qt": _ISO,
    ".mkv": _MATROSKA, ".webm": _MATROSKA,
    ".avi": "avi", ".divx": "avi",
    ".asf": "asf", ".wmv": "asf",
    ".m2t": "mpegts", ".m2ts": "mpegts", ".mts": "mpegts", ".ts": "mpegts",
    ".mpeg": "mpeg", ".mpg": "mpeg", ".vob": "mpeg",
    ".m1v": "mpegvideo", ".m2v": "mpegvideo",
    ".264": "h264", ".avc": "h264", ".h264": "h264",
    ".265": "hevc", ".h265": "hevc", ".hevc": "hevc",
    ".mjpeg": "mjpeg", ".mjpg": "mjpeg",
    ".dv": "dv", ".flv": "flv", ".ivf": "ivf", ".mxf": "mxf", ".nut": "nut", ".obu": "obu",
    ".ogv": "ogg", ".y4m": "yuv4mpegpipe",
}  # fmt: skip
"""Suffix of a video file, and libav's demuxer. The content decides: a `.mpg` may be an AVI."""
VIDEO_SUFFIXES = frozenset(DEMUXERS)
FILE_FORMATS = ",".join(sorted({*DEMUXERS.values(), "m4v"}))
"""What a file may be. Others are left out that open further files or addresses, as playlists do."""
ADDRESS_FORMATS = FILE_FORMATS + (
    ",dash,hls,live_flv,mpjpeg,rtp,rtsp,sdp"
    ",aac,ac3,eac3,mp3,webvtt"  # sound and subtitles of a playlist, in files of their own
)
"""What an address may be: a playlist too, whose parts come over the network only."""

MOTION_JPEG = "mjpeg"
JPEG_START = b"\xff\xd8\xff"
"""libav takes a file that begins so for one image, unless its demuxer is named."""

_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_IMAGE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"jxl ")
_STARTS = (
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF
    b"\x06\x0e\x2b\x34",  # MXF
    *(b"\0\0\1" + bytes([code]) for code in (0xBA, 0xB3, 0xB0)),  # MPEG program, 1 and 2, 4
    *(b"\0\0\0\1" + bytes([unit]) for unit in (0x09, 0x27, 0x67, 0x40, 0x46)),  # H.264, H.265
    *(b"\0\0\1" + bytes([unit]) for unit in (0x09, 0x27, 0x67, 0x40, 0x46)),
    b"FLV\1", b"DKIF", b"YUV4MPEG2 ", b"OggS", b"nut/multimedia", b"\x1f\x07\0", b"\x12\0\x0a",
)  # fmt: skip
_PACKET_SIZES = {0: 188, 4: 192}
"""Where the first sync byte of an MPEG transport stream lies, and the size of its packets."""
SIGNATURE_BYTES = 400
"""Bytes from the start of a file that `is_video_content` needs."""
_LONGEST_JPEG = 2**24


def is_video_content(start: bytes) -> bool:
    """Whether content that begins so is a video: `SIGNATURE_BYTES`, or all if it is shorter."""
    if start[4:8] in _BOXES:
        return start[8:12] not in _IMAGE_BRANDS
    if start.startswith(b"RIFF"):
        return start[8:11] == b"AVI"
    return start.startswith(_STARTS) or any(
        len(start) > first + size and start[first] == start[first + size] == 0x47
        for first, size in _PACKET_SIZES.items()
    )


def holds_video(path: Path) -> bool:
    """Whether a file's content is a video's; False where it cannot be read."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            start = file.read(SIGNATURE_BYTES)
            if not start.startswith(JPEG_START):
                return is_video_content(start)
            return _is_motion_jpeg(start + file.read(_LONGEST_JPEG))
    except (OSError, ValueError):  # what reads it next says what is wrong
        return False


def _is_motion_jpeg(content: bytes) -> bool:
    """Whether a second JPEG follows the first one at once, and isn't part of it, as in an MPO."""
    place = 2
    while content[place : place + 1] == b"\xff" and content[place + 1 : place + 2] != b"\xda":
        size = int.from_bytes(content[place + 2 : place + 4], "big")
        if content[place + 4 : place + 8] == b"MPF\0":
            return False
        place += 2 + max(size, 2)
    end = content.find(b"\xff\xd9", place)
    return end >= 0 and content.startswith(JPEG_START, end + 2)
