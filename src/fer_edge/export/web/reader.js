// Reads expressions under onnxruntime-web: fer_edge/runtime/recognizer.py. Browsers and Node alike.
import { cropFace, toGray } from "./crop.js";
import { detectFaces } from "./detector.js";
import { decode, readSpec } from "./spec.js";

// largest |Δlogit| from the golden samples by precision, as of every engine of fer-edge
const MAX_LOGIT_DIFF = { fp32: 1e-4, fp16: 0.05, int8: 0.05 };
// of the detector: of a score; of a place in pixels, where the score is at least SURE
const [MAX_SCORE_DIFF, MAX_PIXEL_DIFF, SURE] = [5e-3, 0.5, 0.05];
const DETECTOR_TASK = "face-detection";
const FACE_SIZED = 2; // an image of at most this many times the model's side is one face
const SMALL_FACE = 16; // shorter side of a face too small to be relied on, in pixels

// The graphs are optimized when they are exported. ONNX Runtime's own optimization takes most of the
// time of loading, and makes int8 twice as slow: WebAssembly has no instructions for its kernels.
const OPTIONS = { executionProviders: ["wasm"], graphOptimizationLevel: "disabled" };

// ort: onnxruntime-web, as a module. model, detector: the bytes of .onnx files; without a detector
// an image is one face. Throws an Error that names the file.
export async function openReader({ ort, model, detector }) {
  const spec = readSpec(model, "the model");
  const session = await ort.InferenceSession.create(model, OPTIONS);
  let found = null;
  if (detector) {
    const detectorSpec = readSpec(detector, "the face detector", DETECTOR_TASK);
    found = [await ort.InferenceSession.create(detector, OPTIONS), detectorSpec];
  }
  const reader = new Reader(ort, session, spec, ...(found ?? []));
  await reader.check();
  return reader;
}

class Reader {
  constructor(ort, session, spec, detectorSession = null, detectorSpec = null) {
    Object.assign(this, { ort, session, spec, detectorSession, detectorSpec });
    this.selfTest = null; // { samples, maxLogitDiff }, once `check` has passed
  }

  // The faces of an image { width, height, planes } of three planes: see resize.js. isStream: a frame
  // of a camera, whose small faces would take too long to find.
  async read(image, { isStream = false } = {}) {
    const { side } = this.spec.input;
    const { width, height } = image;
    const gray = { data: toGray(image), width, height };
    let crop = this.spec.crop;
    let found;
    if (!this.detectorSession || Math.max(width, height) <= FACE_SIZED * side) {
      found = [{ box: [0, 0, width, height], score: 1, tilt: 0 }];
      crop = { ...crop, margin: 0 };
    } else {
      const run = (...values) => this.runDetector(...values);
      found = await detectFaces(run, this.detectorSpec, image, { withCrowd: !isStream });
    }
    const pixels = new Uint8Array(found.length * side * side);
    found.forEach(({ box, tilt }, i) =>
      pixels.set(cropFace(gray, box, crop, side, tilt), i * side * side));
    const logits = await this.predict(pixels);
    const faces = found.map(({ box, score }, i) => {
      const values = softmax(this.rowOf(logits, i), this.spec.temperature);
      const best = values.indexOf(Math.max(...values));
      const probabilities = Object.fromEntries(this.spec.labels.map((label, k) => [label, values[k]]));
      return {
        box, score, emotion: this.spec.labels[best], confidence: values[best], probabilities,
        small: Math.min(box[2], box[3]) < SMALL_FACE,
      };
    });
    return { width, height, faces };
  }

  // Logits, Float32Array of N x labels, of N faces of side x side bytes.
  async predict(pixels) {
    const { side } = this.spec.input;
    const count = pixels.length / (side * side);
    if (!count) return new Float32Array(0);
    const faces = new this.ort.Tensor("uint8", pixels, [count, side, side]);
    const { logits } = await this.session.run({ faces }, ["logits"]);
    return logits.data;
  }

  async runDetector(pixels, height, width) {
    const images = new this.ort.Tensor("uint8", pixels, [1, height, width]);
    const { faces } = await this.detectorSession.run({ images }, ["faces"]);
    return faces.data;
  }

  rowOf(logits, i) {
    const { length } = this.spec.labels;
    return Array.from(logits.subarray(i * length, (i + 1) * length));
  }

  // Computes the golden samples of both files. Throws an Error where one isn't as PyTorch computes it.
  async check() {
    let maxLogitDiff = 0;
    for (const sample of this.spec.golden) {
      const logits = await this.predict(decode(sample.face));
      sample.logits.forEach((expected, k) => {
        maxLogitDiff = Math.max(maxLogitDiff, Math.abs(logits[k] - Math.fround(expected)));
      });
      const best = (values) => values.indexOf(Math.max(...values));
      // NaN isn't under the limit either
      const isRight = maxLogitDiff <= MAX_LOGIT_DIFF[this.spec.quantization.precision];
      if (!isRight || best([...logits]) !== best(sample.logits)) {
        throw new Error(
          `the model: its logits differ from PyTorch's by up to ${maxLogitDiff}: export it again`);
      }
    }
    for (const sample of this.detectorSpec?.golden ?? []) {
      const output = await this.runDetector(decode(sample.image), sample.height, sample.width);
      if (!isSameOutput(output, new Float32Array(decode(sample.output).buffer))) {
        throw new Error("the face detector: its output differs from PyTorch's: export it again");
      }
    }
    this.selfTest = { samples: this.spec.golden.length, maxLogitDiff };
  }
}

function isSameOutput(output, expected) {
  const cells = expected.length / 9;
  const isSame = output.length === expected.length;
  return isSame && expected.every((value, i) => {
    const scores = 8 * cells;
    const difference = Math.abs(output[i] - value);
    if (i >= scores) return difference <= MAX_SCORE_DIFF;
    return expected[scores + (i % cells)] < SURE || difference <= MAX_PIXEL_DIFF;
  });
}

function softmax(logits, temperature) {
  const scaled = logits.map((value) => value / temperature);
  const largest = Math.max(...scaled);
  const powers = scaled.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((one, other) => one + other);
  return powers.map((value) => value / sum);
}
