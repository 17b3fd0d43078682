"""Recognize expressions in a program that controls a Raspberry Pi's camera itself.

`fer infer 0` reads a camera module without any Python. This example is for programs that configure
the camera themselves, or also record.

    sudo apt install python3-picamera2
    python3 -m venv --system-site-packages .venv      # so that it sees picamera2
    .venv/bin/pip install .                           # on Raspberry Pi OS 12: . 'numpy<2'
    .venv/bin/python examples/picamera2_loop.py       # until Ctrl-C
"""

from __future__ import annotations

import argparse
import sys

from fer_edge import Recognizer


def main() -> int:
    """Read the camera until the time is over and return the exit code."""
    parser = argparse.ArgumentParser(description="Recognize expressions with a camera module.")
    parser.add_argument("--camera", type=int, default=0, help="camera number (0)")
    parser.add_argument(
        "--seconds", type=float, default=0, help="seconds to run; 0: until Ctrl-C (0)"
    )
    options = parser.parse_args()
    from picamera2 import Picamera2  # here, so that --help works without it

    follow = Recognizer.load().follow()
    start = None
    with Picamera2(options.camera) as camera:
        # "BGR888" is Picamera2's name for arrays in R, G, B order; "RGB888" gives B, G, R
        main_stream = {"size": (640, 480), "format": "BGR888"}
        camera.configure(camera.create_video_configuration(main=main_stream))
        camera.start()
        while True:
            request = camera.capture_request(wait=10)
            try:
                array = request.make_array("main")
                stamp = request.get_metadata()["SensorTimestamp"]
            finally:
                request.release()  # the camera has few buffers: give them back at once
            start = stamp if start is None else start
            time = (stamp - start) / 1e9
            if options.seconds and time >= options.seconds:
                return 0
            for face in follow(array, time).faces:
                if face.track:
                    print(f"{time:8.2f} s  face {face.track.number}: {face.track.emotion}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
