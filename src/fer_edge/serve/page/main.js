import { getJson, logIn, logOut } from "./api.js";
import { DeviceCamera, isAllowed } from "./device.js";
import { find, setNotice } from "./dom.js";
import { setUpImages } from "./images.js";
import { LiveConnection } from "./live.js";
import { TEXTS, fillTexts } from "./texts.js";
import { reset, setUpTheme, showEmpty, showFrame, showLabels } from "./view.js";

const notice = find("notice");
let status = null;
let source = "server";

const live = new LiveConnection({ onFrame: showFrame, onStatus: showStatus, onClosed: reconnect });
const device = new DeviceCamera({
  onFrame: (result, image) => {
    setNotice(notice, "");
    showFrame(result, image);
  },
  onStarted: () => {
    setNotice(notice, "");
    find("recording").hidden = false;
  },
  onProblem: (text, error) => {
    setNotice(notice, text, true);
    if (error) needsLogin(error);
  },
});

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
    find("model").textContent = TEXTS.model(model.name, model.version);
    showLabels(model.labels);
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
