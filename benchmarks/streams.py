"""Does following faces save time, and do tracks keep their numbers and end where a film cuts?

python -m benchmarks.streams PHOTOGRAPH... [--clips 12] [--only cuts]

Clips are made from photographs, which may be named by folders: a camera moves over them, the light
changes, somebody walks past, and shots follow each other. The detector is the built-in one.

Cuts: the thresholds are chosen on the photographs of even places in the list, and what they find is
counted on the others: frames of one shot that are taken for a cut, and cuts that are found. "Same
place" is a cut to another photograph whose face has the same place and size, "same scene" one to
another face of the same photograph.

Streams: each frame is recognized as a whole, as a whole with cuts, and near the last faces with
cuts, one after the other. Time is CPU time of one thread. "Joined" numbers were given to more than
one person, "split" persons had more than one number.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean, median
from time import process_time

import numpy as np
from PIL import Image

from benchmarks.lib.clips import MAX_SIDE, MOVEMENTS, Clip, Photograph, Shot, View, look_at
from benchmarks.lib.timing import print_table
from fer_edge import Nearby, Recognizer, Result, SourceError, Tracker
from fer_edge.runtime import cuts
from fer_edge.runtime.boxes import iou, match_boxes
from fer_edge.runtime.inputs.images import open_image
from fer_edge.runtime.inputs.listing import expand_source
from fer_edge.runtime.preprocess import Box
from fer_edge.runtime.results import Face

SMALL, SIZE, RATE = (320, 240), (640, 480), 25
"""Of the clips for cuts and for streams, in pixels; frames per second."""
CUT_FRAMES, STREAM_FRAMES, STEP = 12, 20, 30
"""Frames of a shot; frames between two that are read with `--every 30`."""
STREAM_MOVEMENTS = ("hand", "slow pan", "pan", "zoom", "dimmed", "noise", "passer-by")
LARGEST_VIEW = 0.7
"""Of a photograph's width, so that there is room for the camera to move."""
LARGEST_FACE = 0.3
"""Of the height of a stream's photograph: a face that fills it cannot be in a part of a frame."""
WAYS = ("whole", "whole, cuts", "nearby, cuts")
SAME_FACE = 0.4
"""IoU from which on a face is the photograph's."""


def read_photographs(
    sources: Sequence[str], recognizer: Recognizer, limit: int
) -> Iterator[Photograph]:
    """Photographs and their faces: at most `limit`, spread over what can be read."""
    found = [path for source in sources for path in expand_source(source, print)]
    paths = [Path(one) for one in found if not isinstance(one, SourceError)]
    for i in np.linspace(0, len(paths) - 1, min(limit, len(paths))).round().astype(int):
        image = open_image(paths[i]).convert("RGB")
        image.thumbnail((MAX_SIDE, MAX_SIDE))
        faces = recognizer(image).faces
        yield Photograph(image, [one.box for one in faces if min(one.box[2:]) >= 30])


def choose_view(
    photograph: Photograph, height: float, size: tuple[int, int], face: int = 0
) -> View:
    """A view of a face, at least `height` of the frame tall, or of the middle."""
    if not photograph.boxes:
        return View(0.5, 0.5, LARGEST_VIEW)
    view = look_at(photograph, face, height, size)
    tall = photograph.boxes[face][3] / photograph.image.height
    return (
        view if view.width <= LARGEST_VIEW else look_at(photograph, face, max(height, tall), size)
    )


Measure = Callable[[Image.Image, Image.Image], float]
MEASURES: dict[str, Measure] = {
    "mean difference": lambda one, other: (
        -float(np.abs(cuts.shrink_to_gray(one) - cuts.shrink_to_gray(other)).mean())
    ),
    "similarity": lambda one, other: cuts.measure_similarity(
        cuts.shrink_to_gray(one), cuts.shrink_to_gray(other), cuts.MAX_SHIFT
    ),
}
"""Of two frames: low where they are unlike."""


@dataclass(frozen=True)
class Pair:
    """Two frames, one after the other: what lies between them, and the measures of both."""

    kind: str
    is_cut: bool
    values: Mapping[str, float]


def make_pairs(photographs: Sequence[Photograph], random: np.random.Generator) -> Iterator[Pair]:
    """Pairs of frames inside shots and across cuts, of each photograph."""
    with_faces = [one for one in photographs if one.boxes]
    for number, one in enumerate(photographs):
        height, seed = float(random.uniform(0.25, 0.5)), number
        view = choose_view(one, height, SMALL)
        for movement in MOVEMENTS:
            frames = list(Clip([Shot(one, view, movement, CUT_FRAMES)], SMALL, seed).frames())
            i = CUT_FRAMES // 2  # where the light goes off
            yield _pair(movement, False, frames[i - 1].image, frames[i].image)
            if movement == "slow pan":
                yield _pair("slow pan, --every 30", False, frames[0].image, _later(one, view, seed))
        others = [("other", photographs, 0)]
        if one.boxes:
            others.append(("same place", with_faces, 0))
        if len(one.boxes) > 1:
            others.append(("same scene", [one], 1))
        for kind, chosen, face in others:
            place = next((i for i, other in enumerate(chosen) if other is one), 0)
            other = chosen[(place + 1) % len(chosen)]
            end = choose_view(other, height, SMALL, face if other.boxes else 0)
            shots = Shot(one, view, "hand", 1), Shot(other, end, "hand", 1)
            before, after = Clip(shots, SMALL, seed).frames()
            yield _pair(kind, True, before.image, after.image)


def _later(photograph: Photograph, view: View, seed: int) -> Image.Image:
    """The frame 30 frames after the first one of a slow pan."""
    clip = Clip([Shot(photograph, view, "slow pan", 2 * CUT_FRAMES + STEP)], SMALL, seed)
    return list(clip.frames())[CUT_FRAMES + STEP].image


def _pair(kind: str, is_cut: bool, one: Image.Image, other: Image.Image) -> Pair:
    return Pair(kind, is_cut, {name: measure(one, other) for name, measure in MEASURES.items()})


def choose_threshold(pairs: Sequence[Pair], name: str) -> float:
    """The middle of the thresholds that tell most pairs right, both kinds counting the same."""
    values = np.array([one.values[name] for one in pairs])
    is_cut = np.array([one.is_cut for one in pairs])
    ends = np.unique(values)
    between = (ends[1:] + ends[:-1]) / 2
    right = [(values[is_cut] < t).mean() - (values[~is_cut] < t).mean() for t in between]
    best = between[np.isclose(right, max(right))]
    return float((best[0] + best[-1]) / 2)


def report_cuts(photographs: Sequence[Photograph]) -> None:
    """Choose thresholds on one half of the photographs and count on the other."""
    random = np.random.default_rng(0)
    chosen_on, counted_on = (list(make_pairs(photographs[i::2], random)) for i in (0, 1))
    thresholds = {name: choose_threshold(chosen_on, name) for name in MEASURES}
    columns = {f"{name} < {value:.2f}": (name, value) for name, value in thresholds.items()}
    columns[f"similarity < {cuts.MIN_SIMILARITY}"] = "similarity", cuts.MIN_SIMILARITY
    rows = []
    for is_cut, title in ((False, "in one shot, taken for a cut"), (True, "cut, found")):
        kinds = {one.kind for one in counted_on if one.is_cut == is_cut}
        for kind in [*sorted(kinds), ""]:
            pairs = [o for o in counted_on if o.is_cut == is_cut and kind in ("", o.kind)]
            counts = [
                sum(one.values[name] < limit for one in pairs) for name, limit in columns.values()
            ]
            rows.append([f"{title}: {kind or 'all'}", len(pairs), *counts])
    print_table(["pairs of frames", "pairs", *columns], rows, 26)


@dataclass
class Tally:
    """What one way found in all clips.

    Attributes:
        seconds: of each frame.
        numbers: numbers of each person: clip, shot and number in the photograph.
        overlaps: IoU of the faces with those of "whole", 0 for one that isn't found.
        true_overlaps: IoU of the faces with the photographs' boxes.
        extra: faces that "whole" didn't find.
    """

    seconds: list[float] = field(default_factory=list)
    numbers: dict[tuple[int, ...], Counter[int]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    overlaps: list[float] = field(default_factory=list)
    true_overlaps: list[float] = field(default_factory=list)
    extra: int = 0

    def add_numbers(
        self, clip: int, faces: Sequence[Face], true: Mapping[tuple[int, int], Box]
    ) -> None:
        """Note which person has which number, and how right the boxes are."""
        pairs = match_boxes([one.box for one in faces], list(true.values()), SAME_FACE)
        people = list(true)
        for i, k in pairs.items():
            track = faces[i].track
            assert track is not None
            self.numbers[clip, *people[k]][track.number] += 1
            self.true_overlaps.append(float(iou(faces[i].box, true[people[k]])))

    def add_overlaps(self, found: Result, expected: Result) -> None:
        """Compare with what a search of the whole frame found."""
        boxes, others = ([one.box for one in result.faces] for result in (found, expected))
        pairs = match_boxes(others, boxes, SAME_FACE)
        self.overlaps += [
            float(iou(box, boxes[pairs[i]])) if i in pairs else 0.0 for i, box in enumerate(others)
        ]
        self.extra += len(boxes) - len(pairs)

    @property
    def split(self) -> int:
        """People with more than one number."""
        return sum(len(one) > 1 for one in self.numbers.values())

    @property
    def joined(self) -> int:
        """Numbers of more than one person of a clip."""
        people = Counter((key[0], number) for key, one in self.numbers.items() for number in one)
        return sum(count > 1 for count in people.values())


def make_clips(photographs: Sequence[Photograph], count: int) -> Iterator[Clip]:
    """Clips of two shots; faces have the same place on both sides of the cut."""
    random = np.random.default_rng(1)
    with_faces = [
        one
        for one in photographs
        if one.boxes and one.boxes[0][3] < LARGEST_FACE * one.image.height
    ]
    for number in range(count):
        height = float(random.uniform(0.2, 0.4))
        movement = STREAM_MOVEMENTS[number % len(STREAM_MOVEMENTS)]
        shots = []
        for k in (2 * number, 2 * number + 1):
            one = with_faces[k % len(with_faces)]
            view = choose_view(one, height, SIZE)
            shots.append(Shot(one, view, movement if k % 2 == 0 else "hand", STREAM_FRAMES))
        yield Clip(shots, SIZE, number)


def report_streams(photographs: Sequence[Photograph], recognizer: Recognizer, count: int) -> None:
    """Recognize clips in each way."""
    tallies = {way: Tally() for way in WAYS}
    shares = []
    long_steps = {missed: Tally() for missed in (1, 2)}
    for number, clip in enumerate(make_clips(photographs, count)):
        calls = _open_ways(recognizer)
        slow = {missed: Tracker(max_missed=missed) for missed in long_steps}
        for i, frame in enumerate(clip.frames()):
            found = {}
            for way, call in calls.items():
                began = process_time()
                found[way] = call(frame.image, i / RATE)
                tallies[way].seconds.append(process_time() - began)
            for way, result in found.items():
                tallies[way].add_numbers(number, result.faces, frame.faces)
                tallies[way].add_overlaps(result, found["whole"])
            for missed, tracker in slow.items():
                if frame.is_cut:
                    tracker.end_tracks()
                faces = tracker(found["whole"].faces, i * STEP / RATE)
                long_steps[missed].add_numbers(number, faces, frame.faces)
        shares.append(_clip_row(clip, tallies))
    whole = sum(tallies["whole"].seconds)
    columns = ["way", "ms a frame", "mean ms", "of whole", "faces found", "IoU", "lowest",
               "true IoU", "extra", "people", "split", "joined"]  # fmt: skip
    rows = [
        [
            way,
            f"{1000 * median(one.seconds):.1f}",
            f"{1000 * mean(one.seconds):.1f}",
            f"{sum(one.seconds) / whole:.2f}",
            f"{mean(map(bool, one.overlaps)):.2%}",
            f"{mean(filter(None, one.overlaps)):.4f}",
            f"{min(filter(None, one.overlaps)):.2f}",
            f"{mean(one.true_overlaps):.4f}",
            one.extra,
            len(one.numbers),
            one.split,
            one.joined,
        ]
        for way, one in tallies.items()
    ]
    print_table(columns, rows, 12)
    print_table(["clip", "faces", "height", *WAYS, "of whole"], shares, 14)
    rows = [[f"max_missed={missed}", len(o.numbers), o.split] for missed, o in long_steps.items()]
    print_table(["frames 1.2 s apart", "people", "split"], rows, 12)


def _clip_row(clip: Clip, tallies: Mapping[str, Tally]) -> list[object]:
    """The last clip's time beside what it shows."""
    frames = sum(shot.length for shot in clip.shots)
    first = [next(Clip([shot], SIZE).frames()).faces.values() for shot in clip.shots]
    seconds = {way: median(one.seconds[-frames:]) for way, one in tallies.items()}
    return [
        clip.shots[0].movement,
        " and ".join(str(len(faces)) for faces in first),
        " and ".join(str(max((face[3] for face in faces), default=0)) for faces in first),
        *(f"{1000 * one:.1f}" for one in seconds.values()),
        f"{seconds[WAYS[2]] / seconds[WAYS[0]]:.2f}",
    ]


def _open_ways(recognizer: Recognizer) -> dict[str, Callable[[Image.Image, float], Result]]:
    """New streams: one for each of `WAYS`."""
    tracker = Tracker()

    def read_whole(image: Image.Image, time: float) -> Result:
        result = recognizer(image)
        return replace(result, faces=tracker(result.faces, time))

    follow = {way: recognizer.follow(nearby=how) for way, how in zip(WAYS[1:], HOW, strict=True)}
    return {WAYS[0]: read_whole, **follow}


HOW = Nearby(every=1), Nearby()

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", nargs="+", metavar="PHOTOGRAPH")
    parser.add_argument("--clips", type=int, default=12, help="clips of streams")
    parser.add_argument("--limit", type=int, default=120, help="photographs, spread over the list")
    parser.add_argument("--engine", default="onnxruntime")
    parser.add_argument("--only", choices=("cuts", "streams"))
    options = parser.parse_args()
    opened = Recognizer.load(faces="detect", detector="built-in", threads=1, backend=options.engine)
    photographs = list(read_photographs(options.photographs, opened, options.limit))
    print(
        f"{len(photographs)} photographs, {sum(bool(one.boxes) for one in photographs)} with faces"
    )
    if options.only != "streams":
        report_cuts(photographs)
    if options.only != "cuts":
        report_streams(photographs, opened, options.clips)
