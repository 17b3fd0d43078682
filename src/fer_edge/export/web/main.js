import { opened } from "./api.js";
import { DeviceCamera, isAllowed } from "./device.js";
import { find, setNotice } from "./dom.js";
import { setUpImages } from "./images.js";
import "./own_texts.js";
import { TEXTS, fillTexts } from "./texts.js";
import { reset, setUpTheme, showEmpty, showFrame, showLabels } from "./view.js";

const notice = find("notice");
const button = find("camera");
let isOn = false;

const camera = new DeviceCamera({
  onFrame: (result, image) => {
    setNotice(notice, "");
    showFrame(result, image);
  },
  onStarted: () => (find("recording").hidden = false),
  onProblem: (text) => {
    turn(false);
    setNotice(notice, text, true);
  },
});

function turn(on) {
  isOn = on;
  camera.stop();
  reset();
  setNotice(notice, "");
  find("recording").hidden = true;
  button.textContent = on ? TEXTS.stopCamera : TEXTS.startCamera;
  if (!on) {
    showEmpty(TEXTS.cameraOff, isAllowed() ? TEXTS.cameraOffText : TEXTS.cameraInsecure, true);
    return;
  }
  showEmpty(TEXTS.deviceStarting, TEXTS.deviceText);
  camera.start();
}

async function start() {
  showEmpty(TEXTS.loading, TEXTS.loadingText, true);
  try {
    const { spec, selfTest } = await opened;
    showLabels(spec.labels);
    find("model").textContent = TEXTS.model(spec.name, spec.version ?? "");
    find("self-test").textContent = TEXTS.selfTest(selfTest);
  } catch (error) {
    showEmpty(TEXTS.notLoaded, "", true);
    setNotice(notice, error.message, true);
    find("files").disabled = true;
    return;
  }
  turn(false);
  button.disabled = !isAllowed();
}

async function keepFiles() {
  if (!navigator.serviceWorker) return;
  try {
    await navigator.serviceWorker.register("service_worker.js", { updateViaCache: "none" });
    await navigator.serviceWorker.ready;
    find("offline").textContent = TEXTS.worksOffline;
  } catch (error) {
    find("offline").textContent = TEXTS.needsNetwork(error.message);
  }
}

fillTexts(document);
setUpTheme();
setUpImages(() => {});
button.addEventListener("click", () => turn(!isOn));
document.addEventListener("visibilitychange", () => {
  if (!isOn) return;
  if (document.hidden) camera.stop(); // nobody looks
  else camera.start();
});
start();
keepFiles();
