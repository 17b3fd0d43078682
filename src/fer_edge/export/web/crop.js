// From a gray image and a box to the face that the model takes: fer_edge/runtime/preprocess.py.
import { resizeSquare, transformSquare } from "./resize.js";

// a larger face is shrunk to this many times the result's side before it is rotated
const ROTATION_OVERSAMPLING = 6;

// As Python rounds: a half goes to the even integer.
export function round(value) {
  const down = Math.floor(value);
  const rest = value - down;
  if (rest !== 0.5) return rest < 0.5 ? down : down + 1;
  return down % 2 === 0 ? down : down + 1;
}

// Luma of an image of three planes (ITU-R 601-2), as Pillow computes it.
export function toGray({ width, height, planes: [red, green, blue] }) {
  const gray = new Uint8Array(width * height);
  for (let i = 0; i < gray.length; i += 1) {
    const r = red.data[i * red.step + red.offset];
    const g = green.data[i * green.step + green.offset];
    const b = blue.data[i * blue.step + blue.offset];
    gray[i] = (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;
  }
  return gray;
}

// gray: { data, width, height }; box: [x, y, width, height]; crop: the spec's rule; side: of the
// result, in pixels; tilt: degrees of clockwise rotation to undo. Gives side x side bytes.
export function cropFace(gray, [x, y, width, height], crop, side, tilt = 0) {
  const length = round(Math.max(width, height) * (1 + 2 * crop.margin));
  const left = x + Math.floor((width - length) / 2);
  const top = y + Math.floor((height - length) / 2);
  // a rotated square's corners reach further out, by at most (sqrt(2) - 1) / 2 of its side
  const padding = tilt ? Math.ceil(length * 0.2072) + 1 : 0;
  const whole = length + 2 * padding;
  const square = cropSquare(gray, left - padding, top - padding, whole);
  if (!tilt) return resizeSquare(square, length, side, crop.resize);
  const [rotated, size] = rotateBack(square, whole, length, tilt, crop, side);
  return resizeSquare(rotated, size, side, crop.resize);
}

// Outside the image, its edge pixels are repeated.
function cropSquare({ data, width, height }, left, top, length) {
  const square = new Uint8Array(length * length);
  const inside = (value, end) => Math.max(0, Math.min(end - 1, value));
  for (let row = 0; row < length; row += 1) {
    const start = inside(top + row, height) * width;
    for (let column = 0; column < length; column += 1) {
      square[row * length + column] = data[start + inside(left + column, width)];
    }
  }
  return square;
}

// The central square of `length` pixels of a larger one, rotated back, and its side.
function rotateBack(square, whole, length, tilt, crop, side) {
  const size = Math.min(length, ROTATION_OVERSAMPLING * side);
  const shrunk = size < length ? round((whole * size) / length) : whole;
  const source = resizeSquare(square, whole, shrunk, crop.resize);
  const step = ((length / whole) * shrunk) / size;
  const angle = tilt * (Math.PI / 180);
  const [cos, sin] = [step * Math.cos(angle), step * Math.sin(angle)];
  const [here, there] = [size / 2, shrunk / 2];
  const matrix = [
    ...[cos, -sin, there - cos * here + sin * here],
    ...[sin, cos, there - sin * here - cos * here],
  ];
  return [transformSquare(source, shrunk, size, matrix), size];
}
