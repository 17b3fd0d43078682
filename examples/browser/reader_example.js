// Reads the expressions in an image, in a page of your own: the modules are those of a folder that
// `fer export --format web` wrote.
import * as ort from "./onnxruntime/ort.wasm.bundle.min.js";
import { openReader } from "./reader.js";

const result = document.getElementById("result");
const input = document.getElementById("file");
const load = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer());

async function toImage(file) {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  const { width, height } = bitmap;
  const pen = new OffscreenCanvas(width, height).getContext("2d");
  pen.fillStyle = "white"; // shows through what is transparent
  pen.fillRect(0, 0, width, height);
  pen.drawImage(bitmap, 0, 0);
  const { data } = pen.getImageData(0, 0, width, height);
  return { width, height, planes: [0, 1, 2].map((offset) => ({ data, step: 4, offset })) };
}

ort.env.wasm.numThreads = 1; // more need a page that is isolated from other origins
const [model, detector] = await Promise.all(["model.onnx", "detector.onnx"].map(load));
const reader = await openReader({ ort, model, detector });
result.textContent = `${reader.spec.name} ${reader.spec.version}`;
input.disabled = false;
input.addEventListener("change", async () => {
  const { faces } = await reader.read(await toImage(input.files[0]));
  result.textContent = JSON.stringify(faces, null, 2);
});
