// The live view: the image with its faces, their bars, and the chart of their courses.
import { Courses, describe, drawChart } from "./chart.js";
import { allLabels, colourOf, setLabels } from "./colours.js";
import { find, make } from "./dom.js";
import { FaceList, makeSwatch, nameOf } from "./faces.js";
import { drawPicture, numberOf, shownEmotion, shownFace } from "./picture.js";
import { TEXTS } from "./texts.js";

const CHART_INTERVAL = 250;
const ANNOUNCE_INTERVAL = 4000;

const now = () => performance.now() / 1000;
const faceList = new FaceList(find("faces"), (key) => (selected = key));
let courses = new Courses();
let selected = null;
let names = new Map();
let times = [];
let announcement = "";
let announced = "";

export function showLabels(labels) {
  setLabels(labels);
  find("legend").replaceChildren(
    ...allLabels().map((label) => make("li", {}, makeSwatch(colourOf(label)), label)));
}

export function showFrame(result, image) {
  const time = now();
  find("empty").hidden = true;
  find("picture").hidden = false;
  find("main").classList.remove("idle");
  drawPicture(find("picture"), image, result, window.innerHeight * 0.7);
  times.push(time);
  times = times.filter((one) => time - one < 2);
  find("rate").textContent = (times.length / 2).toFixed(times.length < 20 ? 1 : 0);
  find("count").textContent = result.faces.length;
  result.faces.forEach((face, place) => {
    courses.add(numberOf(face, place), shownFace(face).probabilities, time);
    names.set(numberOf(face, place), nameOf(face, place));
  });
  const keys = result.faces.map(numberOf);
  if (keys.length && !keys.includes(selected)) selected = keys[0];
  faceList.update(result.faces, selected);
  find("no-faces").hidden = result.faces.length > 0;
  const parts = result.faces.map((face, place) =>
    TEXTS.named(nameOf(face, place), shownEmotion(face)));
  const label = TEXTS.pictureLabel(parts);
  if (find("picture").getAttribute("aria-label") !== label) {
    find("picture").setAttribute("aria-label", label);
  }
  announcement = TEXTS.announce(parts);
}

setInterval(() => {
  if (announcement === announced) return;
  announced = announcement;
  find("announcer").textContent = announcement;
}, ANNOUNCE_INTERVAL);

setInterval(() => {
  if (document.hidden) return;
  const time = now();
  courses.trim(time);
  drawChart(find("chart"), courses.byFace.get(selected) || [], time);
  describe(find("chart"), find("course-of"), courses, selected, names.get(selected));
}, CHART_INTERVAL);

// isIdle: no frame is going to come by itself, so what belongs to frames is hidden
export function showEmpty(title, text, isIdle = false) {
  find("main").classList.toggle("idle", isIdle);
  find("picture").hidden = true;
  find("empty").hidden = false;
  find("empty-title").textContent = title;
  find("empty-text").textContent = text;
}

export function reset() {
  courses = new Courses();
  names = new Map();
  times = [];
  selected = null;
  faceList.update([], null);
  find("no-faces").hidden = false;
  for (const id of ["rate", "count"]) find(id).textContent = "–";
}

export function setUpTheme() {
  const root = document.documentElement;
  const show = () => {
    const text = root.dataset.theme === "dark" ? TEXTS.toLight : TEXTS.toDark;
    find("theme").setAttribute("aria-label", text);
    find("theme").title = text;
  };
  find("theme").addEventListener("click", () => {
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
    show();
  });
  show();
}
