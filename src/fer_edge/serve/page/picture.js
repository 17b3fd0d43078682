// An image with its faces on a canvas: boxes and labels in the page's own sizes, however large the
// image is.
import { colourOf, inkOn } from "./colours.js";
import { TEXTS } from "./texts.js";

const FONT = "600 14px system-ui, sans-serif";
const TAG_HEIGHT = 22;

export const shownFace = (face) => face.track || face;

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
  for (const face of result.faces) drawTag(pen, face, zoom, width);
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

function drawTag(pen, face, zoom, limit) {
  const { emotion, confidence } = shownFace(face);
  const [x, y, , height] = face.box.map((side) => side * zoom);
  const text = `${emotion} ${TEXTS.percent(confidence)}`;
  pen.font = FONT;
  const width = pen.measureText(text).width + 16;
  const left = Math.max(0, Math.min(x, limit - width));
  const top = y - TAG_HEIGHT - 4 >= 0 ? y - TAG_HEIGHT - 4 : y + height + 4;
  pen.fillStyle = colourOf(emotion);
  pen.beginPath();
  pen.roundRect(left, top, width, TAG_HEIGHT, 6);
  pen.fill();
  pen.fillStyle = inkOn(colourOf(emotion));
  pen.textBaseline = "middle";
  pen.fillText(text, left + 8, top + TAG_HEIGHT / 2 + 1);
}
