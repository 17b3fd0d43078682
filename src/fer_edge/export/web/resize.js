// Pillow's resize, reduce and rotation of 8-bit images, bit for bit: its Resample.c, Reduce.c and
// Geometry.c.
// A plane is one channel: { data, step, offset }, whose value at (x, y) of an image of a width is
// data[(y * width + x) * step + offset].

const PRECISION = 22; // bits of a weight's fraction
const HALF = 1 << (PRECISION - 1);

function bilinear(x) {
  const far = Math.abs(x);
  return far < 1 ? 1 - far : 0;
}

function bicubic(x) {
  const a = -0.5;
  const far = Math.abs(x);
  if (far < 1) return ((a + 2) * far - (a + 3)) * far * far + 1;
  return far < 2 ? (((far - 5) * far + 8) * far - 4) * a : 0;
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

const lanczos = (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0);

// by name: how far a filter reaches, in pixels, and its weight at a distance
const FILTERS = { bilinear: [1, bilinear], bicubic: [2, bicubic], lanczos: [3, lanczos] };

const clip = (value) => (value < 0 ? 0 : value > 255 ? 255 : value);

// Of each of `to` pixels: the first of `from` pixels that it is made of, and their weights.
function weigh(from, to, filter) {
  const [reach, weight] = FILTERS[filter];
  const scale = from / to;
  const stretch = Math.max(1, scale);
  const support = reach * stretch;
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(from, Math.trunc(centre + support + 0.5));
    const weights = new Float64Array(end - first);
    let sum = 0;
    for (let k = 0; k < weights.length; k += 1) {
      weights[k] = weight((k + first - centre + 0.5) * (1 / stretch));
      sum += weights[k];
    }
    const whole = Int32Array.from(weights, (one) => {
      const scaled = (sum === 0 ? one : one / sum) * 2 ** PRECISION;
      return Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    });
    return { first, weights: whole };
  });
}

// Each row resized to `toWidth` pixels, as bytes.
function resizeRows({ data, step, offset }, width, height, toWidth, filter) {
  const across = weigh(width, toWidth, filter);
  const result = new Uint8Array(toWidth * height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < toWidth; x += 1) {
      const { first, weights } = across[x];
      let at = (y * width + first) * step + offset;
      let sum = HALF;
      for (let k = 0; k < weights.length; k += 1, at += step) sum += data[at] * weights[k];
      result[y * toWidth + x] = clip(sum >> PRECISION);
    }
  }
  return result;
}

// Each column resized to `toHeight` pixels, as bytes.
function resizeColumns({ data, step, offset }, width, height, toHeight, filter) {
  const down = weigh(height, toHeight, filter);
  const result = new Uint8Array(width * toHeight);
  for (let y = 0; y < toHeight; y += 1) {
    const { first, weights } = down[y];
    for (let x = 0; x < width; x += 1) {
      let at = (first * width + x) * step + offset;
      let sum = HALF;
      for (let k = 0; k < weights.length; k += 1, at += width * step) sum += data[at] * weights[k];
      result[y * width + x] = clip(sum >> PRECISION);
    }
  }
  return result;
}

// The means of each 2 x 2 pixels, of fewer at the right and lower edges.
export function halvePlane({ data, step, offset }, width, height) {
  const toWidth = Math.ceil(width / 2);
  const result = new Uint8Array(toWidth * Math.ceil(height / 2));
  for (let i = 0; i < result.length; i += 1) {
    const x = 2 * (i % toWidth);
    const y = 2 * Math.floor(i / toWidth);
    const [across, down] = [Math.min(2, width - x), Math.min(2, height - y)];
    let sum = 0;
    for (let k = 0; k < across * down; k += 1) {
      sum += data[((y + Math.floor(k / across)) * width + x + (k % across)) * step + offset];
    }
    result[i] = Math.floor(sum / (across * down) + 0.5);
  }
  return result;
}

// A plane of width x height pixels as `toWidth` x `toHeight` bytes.
export function resizePlane(plane, width, height, toWidth, toHeight, filter) {
  const asPlane = (data) => ({ data, step: 1, offset: 0 });
  // each pass rounds, so their order matters: rows come first unless columns shrink far more
  if (height > toHeight && height - toHeight > 2 * (width - toWidth)) {
    const columns = resizeColumns(plane, width, height, toHeight, filter);
    return resizeRows(asPlane(columns), width, toHeight, toWidth, filter);
  }
  const rows = resizeRows(plane, width, height, toWidth, filter);
  return resizeColumns(asPlane(rows), toWidth, height, toHeight, filter);
}

// A gray square of bytes; one of the right side is returned as it is.
export function resizeSquare(square, side, toSide, filter) {
  if (side === toSide) return square;
  const plane = { data: square, step: 1, offset: 0 };
  return resizePlane(plane, side, side, toSide, toSide, filter);
}

function cubic(a, b, c, d, at) {
  const second = -a + c;
  const third = 2 * (a - b) + c - d;
  const fourth = -a + b - c + d;
  return b + at * (second + at * (third + at * fourth));
}

// Pillow's transform of a gray square by an affine matrix, from the result's pixels to the
// square's, with its bicubic filter; outside the square it is black.
export function transformSquare(square, side, toSide, [a, b, c, d, e, f]) {
  const result = new Uint8Array(toSide * toSide);
  const inside = (place) => Math.max(0, Math.min(side - 1, place));
  for (let y = 0; y < toSide; y += 1) {
    for (let x = 0; x < toSide; x += 1) {
      const fromX = a * (x + 0.5) + b * (y + 0.5) + c;
      const fromY = d * (x + 0.5) + e * (y + 0.5) + f;
      if (!(fromX >= 0 && fromX < side && fromY >= 0 && fromY < side)) continue;
      const left = Math.floor(fromX - 0.5);
      const top = Math.floor(fromY - 0.5);
      const rows = [-1, 0, 1, 2].map((row) => {
        const start = inside(top + row) * side;
        const values = [-1, 0, 1, 2].map((place) => square[start + inside(left + place)]);
        return cubic(...values, fromX - 0.5 - left);
      });
      result[y * toSide + x] = Math.trunc(clip(cubic(...rows, fromY - 0.5 - top)));
    }
  }
  return result;
}
