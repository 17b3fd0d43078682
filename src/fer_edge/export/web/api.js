// In place of the server's interface: images are read in this browser, and sent nowhere.
import * as ort from "./onnxruntime/ort.wasm.bundle.min.js";
import { openReader } from "./reader.js";
import { TEXTS } from "./texts.js";

const MAX_PIXELS = 25e6; // a larger image is shrunk to as many
const MAX_THREADS = 4;

// An image that can't be read.
export class Problem extends Error {
  constructor(detail) {
    super(detail);
    this.status = 422;
  }
}

async function load(name) {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name}: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

async function open() {
  // threads share memory, which browsers allow to isolated pages alone
  ort.env.wasm.numThreads = self.crossOriginIsolated
    ? Math.min(MAX_THREADS, navigator.hardwareConcurrency) : 1;
  const [model, detector] = await Promise.all(["model.onnx", "detector.onnx"].map(load));
  return openReader({ ort, model, detector });
}

// The reader, or the Error that it could not be opened with.
export const opened = open();

let last = Promise.resolve();

// One image after the other: files and the camera share the engine.
function read(image, options) {
  const result = last.then(async () => (await opened).read(image, options));
  last = result.catch(() => {});
  return result.catch((error) => {
    throw new Problem(error.message);
  });
}

// The faces of an image file.
export async function predictFile(file) {
  let bitmap;
  try {
    // without a colour profile's conversion, as Pillow reads it
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    throw new Problem(TEXTS.undecodable);
  }
  const { width, height } = bitmap;
  const scale = Math.min(1, Math.sqrt(MAX_PIXELS / (width * height)));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height].map((side) => Math.max(1, Math.round(side * scale)));
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.fillStyle = "white"; // shows through what is transparent
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return read(toImage(canvas));
}

// The faces of a camera's frame on a canvas.
export async function predictFrame(canvas) {
  await new Promise((done) => setTimeout(done)); // the page reacts between two frames
  return read(toImage(canvas), { isStream: true });
}

function toImage(canvas) {
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  return { width, height, planes: [0, 1, 2].map((offset) => ({ data, step: 4, offset })) };
}
