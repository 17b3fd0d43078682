import { getJson, logIn, logOut } from "./api.js";
import { Courses, describe, drawChart } from "./chart.js";
import { allLabels, colourOf, setLabels } from "./colours.js";
import { DeviceCamera, isAllowed } from "./device.js";
import { find, make, setNotice } from "./dom.js";
import { FaceList, makeSwatch, nameOf } from "./faces.js";
import { setUpImages } from "./images.js";
import { LiveConnection } from "./live.js";
import { drawPicture, numberOf, shownEmotion, shownFace } from "./picture.js";
import { TEXTS, fillTexts } from "./texts.js";

const CHART_INTERVAL = 250;
const ANNOUNCE_INTERVAL = 4000;

const now = () => performance.now() / 1000;
const notice = find("notice");
const faceList = new FaceList(find("faces"), (key) => (selected = key));
let courses = new Courses();
let selected = null;
let names = new Map();
let times = [];
let announced = "";
let status = null;
let source = "server";

const live = new LiveConnection({ onFrame: showFrame, onStatus: showStatus, onClosed: reconnect });
const device = new DeviceCamera({
  onFrame: showFrame,
  onStarted: () => {
    setNotice(notice, "");
    find("recording").hidden = false;
  },
  onProblem: (text, error) => {
    setNotice(notice, text, true);
    if (error) needsLogin(error);
  },
});

function showFrame(result, image) {
  const time = now();
  find("empty").hidden = true;
  find("picture").hidden = false;
  find("main").classList.remove("idle");
  if (source === "device") setNotice(notice, "");
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

let announcement = "";
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

function showStatus(found) {
  status = found;
  find("logout").hidden = !found.token_required;
  find("main").classList.remove("stale");
  find("viewers").textContent = found.viewers;
  const hasSensor = found.temperature !== null;
  find("temperature").parentElement.hidden = !hasSensor;
  if (hasSensor) find("temperature").textContent = TEXTS.degrees(found.temperature);
  find("recording").hidden = found.camera !== "open" && source !== "device";
  if (source !== "server") return;
  const slowed = (found.throttled || []).filter((state) => !state.endsWith("since boot"));
  if (found.camera === "lost") setNotice(notice, TEXTS.lost(found.message), true);
  else if (found.camera === "opening") setNotice(notice, TEXTS.openingCamera);
  else setNotice(notice, slowed.length ? TEXTS.throttled(slowed) : "", true);
}

// isIdle: no frame is going to come by itself, so what belongs to frames is hidden
function showEmpty(title, text, isIdle = false) {
  find("main").classList.toggle("idle", isIdle);
  find("picture").hidden = true;
  find("empty").hidden = false;
  find("empty-title").textContent = title;
  find("empty-text").textContent = text;
}

async function reconnect() {
  try {
    showStatus(await getJson("v1/status"));
    if (source === "server") setNotice(notice, TEXTS.viewersFull);
  } catch (error) {
    if (needsLogin(error)) return;
    showDisconnected();
  }
  if (source === "server" && !document.hidden) live.retry();
}

function showDisconnected() {
  find("recording").hidden = true;
  for (const id of ["rate", "count", "temperature", "viewers"]) find(id).textContent = "–";
  find("main").classList.add("stale");
  setNotice(notice, TEXTS.disconnected, true);
}

function needsLogin(error) {
  if (error.status !== 401) return false;
  if (!find("login").open) {
    setNotice(find("login-error"), "");
    find("login").showModal();
  }
  return true;
}

function reset() {
  courses = new Courses();
  names = new Map();
  times = [];
  selected = null;
  faceList.update([], null);
  find("no-faces").hidden = false;
  for (const id of ["rate", "count"]) find(id).textContent = "–";
}

function choose(wanted) {
  source = wanted;
  find("use-server").setAttribute("aria-pressed", String(wanted === "server"));
  find("use-device").setAttribute("aria-pressed", String(wanted === "device"));
  live.stop();
  device.stop();
  reset();
  setNotice(notice, "");
  find("recording").hidden = true;
  if (wanted === "device") {
    if (!isAllowed()) {
      showEmpty(TEXTS.deviceCamera, TEXTS.deviceInsecure, true);
      return;
    }
    showEmpty(TEXTS.deviceStarting, TEXTS.deviceText);
    device.start();
  } else if (status && status.camera === "none") {
    showEmpty(TEXTS.noSource, TEXTS.noSourceText, true);
  } else {
    showEmpty(TEXTS.connecting, TEXTS.connectingText);
    live.start();
  }
}

async function start() {
  try {
    const model = await getJson("v1/model");
    setLabels(model.labels);
    find("model").textContent = TEXTS.model(model.name, model.version);
    find("legend").replaceChildren(
      ...allLabels().map((label) => make("li", {}, makeSwatch(colourOf(label)), label)));
    showStatus(await getJson("v1/status"));
    choose(source);
  } catch (error) {
    if (needsLogin(error)) return;
    showDisconnected();
    setTimeout(start, 2000);
  }
}

function setUpLogin() {
  find("login").addEventListener("cancel", (event) => event.preventDefault());
  find("login-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await logIn(find("token").value);
    } catch (error) {
      setNotice(find("login-error"), error.status === 401 ? TEXTS.wrongToken : error.message, true);
      find("token").select();
      return;
    }
    setNotice(find("login-error"), "");
    find("token").value = "";
    find("login").close();
    start();
  });
  find("logout").addEventListener("click", async () => {
    await logOut();
    location.reload();
  });
}

function setUpTheme() {
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

fillTexts(document);
setUpTheme();
setUpLogin();
setUpImages(needsLogin);
find("use-server").addEventListener("click", () => choose("server"));
find("use-device").addEventListener("click", () => choose("device"));
document.addEventListener("visibilitychange", () => {
  // nobody looks: the board need not work
  if (source !== "server" || !status || status.camera === "none") return;
  if (document.hidden) live.stop();
  else live.start();
});
showEmpty(TEXTS.connecting, TEXTS.connectingText);
start();
