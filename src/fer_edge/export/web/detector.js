// Finds faces: searches.py, cells.py and detector.py of fer_edge/runtime/detection.
import { round, toGray } from "./crop.js";
import { halvePlane, resizePlane } from "./resize.js";

const SIDE = 640; // longer side to which a larger image is shrunk first, in pixels
const LARGE = 128; // a face of so many pixels is found more surely at half the resolution
const CROWD_SIDE = 1920; // of a last search, for small faces
const CROWD_DOUBT = 0.65; // factor on 1 - score threshold in that last search
const SMALL = 32; // a face of fewer pixels of the first search may have others beside it
const MIN_FACE = 10; // shorter side of the smallest face that counts, in pixels
const MAX_CANDIDATES = 2000;
const MULTIPLE = 32;
const COLUMNS = 9; // of a face: x, y, width, height, x and y of both eyes, score
const ALIGN_ABOVE = 10; // degrees of tilt
const NMS_THRESHOLD = 0.3; // of the faces of two searches
const SAME_IOU = 0.5; // of boxes of the same face
const MIN_INSIDE = 0.7; // fraction of a box that lies in the face that it is part of

// image: { width, height, planes }, red, green and blue. run: from gray bytes, their height and
// width, to the graph's output. Gives { box, score, tilt } of each face, the best first; the tilt is
// 0 where it is small. withCrowd: whether small faces are looked for.
export async function detectFaces(run, spec, image, { withCrowd = true } = {}) {
  const longer = Math.max(image.width, image.height);
  const factor = Math.fround(Math.min(1, SIDE / longer));
  let rows = await search(findLarge, run, spec, image, SIDE);
  const size = (row) => Math.min(row[2], row[3]);
  const smallest = rows.length ? Math.min(...rows.map(size)) : 0;
  if (withCrowd && Math.fround(smallest * factor) < SMALL) {
    const enlarged = Math.max(1, Math.min(2, CROWD_SIDE / longer));
    const sides = [image.width, image.height].map((side) => round(side * enlarged));
    const larger = enlarged > 1 ? resize(image, ...sides, "bicubic") : image;
    const others = await search(findFaces, run, spec, larger, CROWD_SIDE);
    for (const row of others) {
      for (let k = 0; k < COLUMNS - 1; k += 1) row[k] /= Math.fround(enlarged);
    }
    const score = Math.fround(1 - (1 - spec.score_threshold) * CROWD_DOUBT);
    const small = others.filter(
      (row) => Math.fround(size(row) * factor) < 2 * SMALL && row[COLUMNS - 1] >= score,
    );
    rows = keepBest([...rows, ...small], NMS_THRESHOLD);
  }
  return rows.map((row) => toFace(row, image)).filter(({ box }) => Math.min(box[2], box[3]) >= MIN_FACE);
}

function resize({ width, height, planes }, toWidth, toHeight, filter) {
  const toBytes = (plane) => resizePlane(plane, width, height, toWidth, toHeight, filter);
  return toImage(toWidth, toHeight, planes.map(toBytes));
}

function halve({ width, height, planes }) {
  const toBytes = (plane) => halvePlane(plane, width, height);
  return toImage(Math.ceil(width / 2), Math.ceil(height / 2), planes.map(toBytes));
}

function toImage(width, height, channels) {
  return { width, height, planes: channels.map((data) => ({ data, step: 1, offset: 0 })) };
}

// Turns rows into pixels of an image that is so many times as wide and as high.
function scaleRows(rows, across, down) {
  const factors = [Math.fround(across), Math.fround(down)];
  for (const row of rows) {
    for (let k = 0; k < COLUMNS - 1; k += 1) row[k] *= factors[k % 2];
  }
}

// The faces in an image that is shrunk to a side: rows in pixels of the image.
async function search(find, run, spec, image, side) {
  const ratio = Math.min(1, side / Math.max(image.width, image.height));
  const width = Math.max(1, round(image.width * ratio));
  const height = Math.max(1, round(image.height * ratio));
  const isSame = width === image.width && height === image.height;
  const shrunk = isSame ? image : resize(image, width, height, "bilinear");
  const rows = await find(run, spec, shrunk);
  scaleRows(rows, image.width / width, image.height / height);
  return rows;
}

// The graph takes sides that are multiples of 32: black pixels fill them up.
async function findFaces(run, spec, image) {
  const gray = toGray(image);
  const [width, height] = [image.width, image.height].map(
    (side) => Math.ceil(side / MULTIPLE) * MULTIPLE,
  );
  const padded = new Uint8Array(width * height);
  for (let y = 0; y < image.height; y += 1) {
    padded.set(gray.subarray(y * image.width, (y + 1) * image.width), y * width);
  }
  const output = await run(padded, height, width);
  const cells = output.length / COLUMNS;
  const threshold = Math.fround(spec.score_threshold);
  const rows = [];
  for (let cell = 0; cell < cells; cell += 1) {
    if (output[(COLUMNS - 1) * cells + cell] < threshold) continue;
    rows.push(Float32Array.from({ length: COLUMNS }, (_, k) => output[k * cells + cell]));
  }
  return keepBest(rows, spec.nms_threshold);
}

// Searches an image, and for large faces at half the resolution, at half of that, and so on.
async function findLarge(run, spec, image) {
  const rows = await findFaces(run, spec, image);
  if (Math.max(image.width, image.height) < LARGE) return rows;
  const others = await findLarge(run, spec, halve(image));
  scaleRows(others, 2, 2);
  const isLarge = (row) => Math.max(row[2], row[3]) >= LARGE;
  for (const row of rows.filter(isLarge)) {
    const overlaps = others.map((other) => iou(row, other));
    const most = Math.max(...overlaps);
    if (most >= SAME_IOU) row.set(others[overlaps.indexOf(most)].subarray(4, COLUMNS - 1), 4);
  }
  return addLarge(rows, others.filter(isLarge));
}

// The faces of two searches, without those of the first that are only a part of one of the second.
function addLarge(rows, others) {
  if (!rows.length || !others.length) return rows.length ? rows : others;
  const added = others.filter((other) => rows.every((row) => iou(row, other) < SAME_IOU));
  const isPart = (row, other) =>
    intersection(row, other) > MIN_INSIDE * (row[2] * row[3])
    && row[COLUMNS - 1] < other[COLUMNS - 1];
  const kept = rows.filter((row) => !added.some((other) => isPart(row, other)));
  return keepBest([...added, ...kept], NMS_THRESHOLD);
}

// Each face once, in order of falling score (non-maximum suppression).
function keepBest(rows, threshold) {
  const score = COLUMNS - 1;
  const sorted = [...rows].sort((one, other) => other[score] - one[score]).slice(0, MAX_CANDIDATES);
  const kept = [];
  for (const row of sorted) if (!kept.some((other) => iou(row, other) > threshold)) kept.push(row);
  return kept;
}

function intersection(one, other) {
  const shared = [0, 1].map((k) =>
    Math.max(0, Math.min(one[k] + one[k + 2], other[k] + other[k + 2]) - Math.max(one[k], other[k])));
  return shared[0] * shared[1];
}

function iou(one, other) {
  const shared = intersection(one, other);
  const union = one[2] * one[3] + other[2] * other[3] - shared;
  return union > 0 ? shared / union : 0;
}

function toFace(row, { width, height }) {
  const [left, top] = [Math.max(0, round(row[0])), Math.max(0, round(row[1]))];
  const right = Math.min(width, round(Math.fround(row[0] + row[2])));
  const lower = Math.min(height, round(Math.fround(row[1] + row[3])));
  const tilt = Math.atan2(row[7] - row[5], row[6] - row[4]) * (180 / Math.PI);
  return {
    box: [left, top, right - left, lower - top],
    score: row[COLUMNS - 1],
    tilt: Math.abs(tilt) > ALIGN_ABOVE ? tilt : 0,
  };
}
