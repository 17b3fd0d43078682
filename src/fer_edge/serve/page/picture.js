// An image with its faces on a canvas: boxes and labels in the page's own sizes, however large the
// image is.
import { colourOf, inkOn } from "./colours.js";
import { TEXTS } from "./texts.js";

const FONT = "600 14px system-ui, sans-serif";
const TAG_HEIGHT = 22;

const INSET = 5; // of a tag in a box that leaves no room outside it
// pixels; boxes of several faces, whose tags would cover their neighbours
const NARROW = 56; // the number alone
const TINY = 18; // no tag

export const shownFace = (face) => face.track || face;
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
  result.faces.forEach((face, place) => {
    const number = result.faces.length > 1 ? numberOf(face, place) : 0;
    drawTag(pen, face, number, zoom, { width, height });
  });
}

function drawBox(pen, face, zoom) {
  const [x, y, width, height] = face.box.map((side) => side * zoom);
  const radius = Math.min(8, width / 8, height / 8);
  for (const [line, colour] of [[5, "rgb(0 0 0 / 45%)"], [2.5, colourOf(shownFace(face).emotion)]]) {
    pen.lineWidth = line;
    pen.strokeStyle = colour;
    pen.beginPath();
    pen.roundRect(x, y, width, height, radius);
    pen.stroke();
  }
}

// number: 0 where the face is alone and needs none
function drawTag(pen, face, number, zoom, limit) {
  const { emotion, confidence } = shownFace(face);
  const [x, y, boxWidth, boxHeight] = face.box.map((side) => side * zoom);
  if (number && boxWidth < TINY) return;
  const isNarrow = number && boxWidth < NARROW;
  const text = isNarrow ? String(number) : TEXTS.tag(number, emotion, TEXTS.percent(confidence));
  pen.font = FONT;
  const width = pen.measureText(text).width + 16;
  const above = y - TAG_HEIGHT - 4;
  const below = y + boxHeight + 4;
  const isOutside = above >= 0 || below + TAG_HEIGHT <= limit.height;
  const top = above >= 0 ? above : isOutside ? below : Math.max(0, y) + INSET;
  const left = Math.max(0, Math.min(isOutside ? x : Math.max(0, x) + INSET, limit.width - width));
  pen.fillStyle = colourOf(emotion);
  pen.beginPath();
  pen.roundRect(left, top, width, TAG_HEIGHT, 6);
  pen.fill();
  pen.fillStyle = inkOn(colourOf(emotion));
  pen.textBaseline = "middle";
  pen.fillText(text, left + 8, top + TAG_HEIGHT / 2 + 1);
}
