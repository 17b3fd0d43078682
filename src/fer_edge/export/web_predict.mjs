// Predicts under Node as the page does: node web_predict.mjs PAGE MODEL DETECTOR
// Standard input: a number of faces, uint32, and their pixels, one byte each; and so on. Standard
// output: their logits, float32. All numbers are little-endian, as on every machine with Node.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [page, ...models] = process.argv.slice(2).map((path) => resolve(path));
const load = (name) => import(pathToFileURL(join(page, name)));
const read = (path) => new Uint8Array(readFileSync(path));

async function open() {
  const { openReader } = await load("reader.js");
  const ort = await load("onnxruntime/ort.wasm.bundle.min.js");
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = read(join(page, "onnxruntime/ort-wasm-simd-threaded.wasm"));
  return openReader({ ort, model: read(models[0]), detector: read(models[1]) });
}

async function predictAll(reader) {
  const { side } = reader.spec.input;
  let waiting = Buffer.alloc(0);
  for await (const chunk of process.stdin) {
    waiting = Buffer.concat([waiting, chunk]);
    while (waiting.length >= 4) {
      const end = 4 + waiting.readUInt32LE() * side * side;
      if (waiting.length < end) break;
      const logits = await reader.predict(Uint8Array.from(waiting.subarray(4, end)));
      process.stdout.write(Buffer.from(logits.buffer, logits.byteOffset, logits.byteLength));
      waiting = waiting.subarray(end);
    }
  }
}

try {
  await predictAll(await open());
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
