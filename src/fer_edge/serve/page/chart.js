// The course of each face's expressions: probabilities stacked over the last two minutes.
import { allLabels, colourOf } from "./colours.js";
import { TEXTS } from "./texts.js";

export const SPAN = 120;
const STEP = 0.25; // seconds between two kept points
const GAP = 1.5; // seconds without a face that leave a gap

export class Courses {
  constructor() {
    this.byFace = new Map();
  }

  add(key, probabilities, now) {
    const points = this.byFace.get(key) || [];
    this.byFace.set(key, points);
    const last = points.at(-1);
    if (last && now - last.time < STEP) return;
    points.push({ time: now, values: allLabels().map((label) => probabilities[label]) });
  }

  trim(now) {
    for (const [key, points] of this.byFace) {
      while (points.length && now - points[0].time > SPAN) points.shift();
      if (!points.length) this.byFace.delete(key);
    }
  }

  // the label that was the likeliest most often, and its fraction of the points
  summary(key) {
    const points = this.byFace.get(key) || [];
    if (!points.length) return null;
    const counts = new Array(allLabels().length).fill(0);
    for (const { values } of points) counts[values.indexOf(Math.max(...values))] += 1;
    const best = counts.indexOf(Math.max(...counts));
    return { label: allLabels()[best], fraction: counts[best] / points.length };
  }
}

export function drawChart(canvas, points, now) {
  const density = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  canvas.width = Math.round(width * density);
  canvas.height = Math.round(height * density);
  const pen = canvas.getContext("2d");
  pen.scale(density, density);
  const style = getComputedStyle(canvas);
  const at = (time) => width * (1 - (now - time) / SPAN);
  for (const run of splitAtGaps(points)) {
    const tops = new Array(run.length).fill(0);
    allLabels().forEach((label, place) => {
      const bottoms = tops.slice();
      run.forEach(({ values }, i) => (tops[i] += values[place]));
      pen.fillStyle = colourOf(label);
      pen.beginPath();
      run.forEach(({ time }, i) => pen.lineTo(at(time), height * (1 - tops[i])));
      for (let i = run.length - 1; i >= 0; i -= 1) {
        pen.lineTo(at(run[i].time), height * (1 - bottoms[i]));
      }
      pen.fill();
    });
  }
  pen.strokeStyle = style.getPropertyValue("--grid");
  for (let seconds = 30; seconds < SPAN; seconds += 30) {
    const x = Math.round(at(now - seconds)) + 0.5;
    pen.beginPath();
    pen.moveTo(x, 0);
    pen.lineTo(x, height);
    pen.stroke();
  }
  const half = Math.round(height / 2) + 0.5;
  pen.beginPath();
  pen.moveTo(0, half);
  pen.lineTo(width, half);
  pen.stroke();
}

function splitAtGaps(points) {
  const runs = [];
  for (const point of points) {
    const run = runs.at(-1);
    if (run && point.time - run.at(-1).time <= GAP) run.push(point);
    else runs.push([point]);
  }
  return runs;
}

export function describe(canvas, node, courses, key, name) {
  const found = courses.summary(key);
  const percent = found && TEXTS.percent(found.fraction);
  node.textContent = found ? TEXTS.mostly(name, found.label, percent) : TEXTS.chartEmpty;
  const label = found ? TEXTS.chartLabel(name, found.label, percent) : TEXTS.chartEmpty;
  if (canvas.getAttribute("aria-label") !== label) canvas.setAttribute("aria-label", label);
}
