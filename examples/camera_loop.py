"""Print when a face in front of a camera changes its expression.

pip install '.[video]'
python examples/camera_loop.py              # camera 0, until Ctrl-C
python examples/camera_loop.py clip.mp4     # or a video, or the address of a stream
"""

from __future__ import annotations

import argparse
import sys

from fer_edge import Cut, FerEdgeError, Recognizer


def main() -> int:
    """Read the source to its end and return the exit code."""
    parser = argparse.ArgumentParser(description="Print when a face changes its expression.")
    parser.add_argument("source", nargs="?", default="0", help="camera, video or stream (0)")
    parser.add_argument("--max-fps", type=float, default=10, help="frames per second; 0: all (10)")
    options = parser.parse_args()

    shown: dict[int, str] = {}
    try:
        recognizer = Recognizer.load()
        for result in recognizer.stream(options.source, cut=Cut(max_fps=options.max_fps)):
            for face in result.faces:
                if face.track is None or shown.get(face.track.number) == face.track.emotion:
                    continue
                shown[face.track.number] = face.track.emotion
                shown.pop(face.track.number - 100, None)  # numbers only grow: that face is gone
                print(
                    f"{result.time:8.2f} s  face {face.track.number}: "
                    f"{face.track.emotion} {face.track.confidence:.0%}",
                    flush=True,
                )
    except FerEdgeError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
