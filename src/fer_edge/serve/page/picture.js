// An image with its faces on a canvas: boxes and labels in the page's own sizes, however large the
// image is.
import { colourOf, inkOn, OTHER } from "./colours.js";
import { TEXTS } from "./texts.js";

// in pixels
const TAG = { font: "600 14px system-ui, sans-serif", height: 22, padding: 8, gap: 4 };
const SMALL_TAG = { font: "600 11px system-ui, sans-serif", height: 15, padding: 4, gap: 2 };
const INSET = 5; // of a tag in a box that leaves no room outside it
// of so many faces, whose tags would cover their neighbours, narrow ones show their number alone,
// and tiny ones nothing
const CROWD = 4;
const NARROW = 56;
const TINY = 18;

export const shownFace = (face) => face.track || face;
// gray where the face has too few pixels for its expression to be relied on
export const colourOfFace = (face) => (face.small ? OTHER : colourOf(shownFace(face).emotion));
export const shownEmotion = (face) => {
  const { emotion } = shownFace(face);
  return face.small ? TEXTS.tooSmall(emotion) : emotion;
};
export const numberOf = (face, place) => (face.track ? face.track.number : place + 1);

export function drawPicture(canvas, image, result, maxHeight = Infinity) {
  const ratio = result.width / result.height;
  const width = Math.min(canvas.parentElement.clientWidth, maxHeight * ratio);
  const height = width / ratio;
  const density = window.devicePixelRatio || 1;
  const size = [Math.round(width * density), Math.round(height * density)];
  if (canvas.width !== size[0] || canvas.height !== size[1]) {
    [canvas.width, canvas.height] = size;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(density, 0, 0, density, 0, 0);
  pen.drawImage(image, 0, 0, width, height);
  const zoom = width / result.width;
  for (const face of result.faces) drawBox(pen, face, zoom);
  const count = result.faces.length;
  result.faces.forEach((face, place) => {
    const { emotion, confidence } = shownFace(face);
    const number = count > 1 ? numberOf(face, place) : 0;
    const box = face.box.map((side) => side * zoom);
    const room = count < CROWD ? Infinity : box[2];
    if (room < TINY) return;
    const isNarrow = room < NARROW;
    const text = isNarrow ? String(number) : TEXTS.tag(number, emotion, TEXTS.percent(confidence));
    drawTag(pen, text, colourOfFace(face), box, isNarrow ? SMALL_TAG : TAG, { width, height });
  });
}

function drawBox(pen, face, zoom) {
  const [x, y, width, height] = face.box.map((side) => side * zoom);
  const radius = Math.min(8, width / 8, height / 8);
  for (const [line, colour] of [[5, "rgb(0 0 0 / 45%)"], [2.5, colourOfFace(face)]]) {
    pen.lineWidth = line;
    pen.strokeStyle = colour;
    pen.beginPath();
    pen.roundRect(x, y, width, height, radius);
    pen.stroke();
  }
}

function drawTag(pen, text, colour, [x, y, , boxHeight], { font, height, padding, gap }, limit) {
  pen.font = font;
  const width = pen.measureText(text).width + 2 * padding;
  const above = y - height - gap;
  const below = y + boxHeight + gap;
  const isOutside = above >= 0 || below + height <= limit.height;
  const top = above >= 0 ? above : isOutside ? below : Math.max(0, y) + INSET;
  const left = Math.max(0, Math.min(isOutside ? x : Math.max(0, x) + INSET, limit.width - width));
  pen.fillStyle = colour;
  pen.beginPath();
  pen.roundRect(left, top, width, height, height / 4);
  pen.fill();
  pen.fillStyle = inkOn(colour);
  pen.textBaseline = "middle";
  pen.fillText(text, left + padding, top + height / 2 + 1);
}
