// Images that are chosen, dropped or pasted: read, and shown beside their bars.
import { Problem, predictFile } from "./api.js";
import { find, make, setNotice } from "./dom.js";
import { makeBars, makeSwatch, nameOf } from "./faces.js";
import { colourOfFace, drawPicture, shownEmotion } from "./picture.js";
import { TEXTS } from "./texts.js";

const MAX_HEIGHT = 420;
const MANY = 4; // more faces than that are listed closed
const shown = new Set();

export function setUpImages(onProblem) {
  const drop = find("drop");
  const read = (files) => readAll([...files], onProblem);
  find("files").addEventListener("change", ({ target }) => {
    read(target.files);
    target.value = "";
  });
  find("clear").addEventListener("click", () => {
    find("results").replaceChildren();
    shown.clear();
    find("clear").hidden = true;
    find("files").focus();
  });
  for (const kind of ["dragenter", "dragover"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    read(event.dataTransfer.files);
  });
  document.addEventListener("paste", ({ clipboardData }) => {
    if (clipboardData.files.length) read(clipboardData.files);
  });
  new ResizeObserver(() => shown.forEach((redraw) => redraw())).observe(find("results"));
}

async function readAll(files, onProblem) {
  const notice = find("upload-notice");
  const images = files.filter((file) => !file.type || file.type.startsWith("image/"));
  if (!images.length) return setNotice(notice, TEXTS.noImages, true);
  let left = images.length;
  for (const file of images) {
    setNotice(notice, TEXTS.reading(left));
    await readOne(file, onProblem);
    left -= 1;
  }
  setNotice(notice, "");
}

async function readOne(file, onProblem) {
  try {
    await show(file, await predictFile(file));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    onProblem(error);
    if (error.status === 503) {
      setNotice(find("upload-notice"), TEXTS.busy);
      await new Promise((done) => setTimeout(done, 1000 * (error.retryAfter || 1)));
      return readOne(file, onProblem);
    }
    add(make("li", { className: "result" }, make("h3", {}, file.name),
      make("p", { className: "notice bad" }, TEXTS.failed(error.message))));
  }
}

async function show(file, result) {
  const canvas = make("canvas");
  const holder = make("div", { className: "stage" }, canvas);
  const hasMany = result.faces.length > MANY;
  const faces = result.faces.map((face, place) =>
    make(hasMany ? "details" : "section", {},
      make(hasMany ? "summary" : "h4", {}, makeSwatch(colourOfFace(face)),
        TEXTS.named(nameOf(face, place), shownEmotion(face))),
      makeBars(face.probabilities).list));
  add(make("li", { className: "result" },
    make("h3", {}, file.name, make("span", { className: "hint" }, TEXTS.faces(result.faces.length))),
    make("div", { className: hasMany ? "reading many" : "reading" },
      holder, make("div", { className: "readings" }, ...faces))));
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", TEXTS.named(file.name, TEXTS.faces(result.faces.length)));
  let image;
  try {
    image = await createImageBitmap(file);
  } catch {
    holder.remove(); // the server reads more formats than browsers do
    return;
  }
  const height = hasMany ? MAX_HEIGHT * 1.5 : MAX_HEIGHT;
  const redraw = () => drawPicture(canvas, image, result, height);
  shown.add(redraw);
  redraw();
}

function add(node) {
  find("results").prepend(node);
  find("clear").hidden = false;
}
