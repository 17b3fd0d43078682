// Calls the web page's functions under Node: a call a line of standard input, as JSON, with pixels in
// base64; its result a line of standard output. node web_calls.js FOLDER
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const load = (name) => import(pathToFileURL(`${process.argv[2]}/${name}`));
const [{ cropFace, round, toGray }, { detectFaces }, { halvePlane, resizePlane }] = await Promise.all(
  ["crop.js", "detector.js", "resize.js"].map(load),
);
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const text = (data) => Buffer.from(data).toString("base64");

const CALLS = {
  resize: ({ data, width, height, size, filter }) =>
    text(resizePlane({ data: bytes(data), step: 1, offset: 0 }, width, height, ...size, filter)),
  halve: ({ data, width, height }) =>
    text(halvePlane({ data: bytes(data), step: 1, offset: 0 }, width, height)),
  crop: ({ data, width, height, box, crop, side, tilt }) =>
    text(cropFace({ data: bytes(data), width, height }, box, crop, side, tilt)),
  gray: ({ data, width, height }) => {
    const planes = [0, 1, 2].map((offset) => ({ data: bytes(data), step: 3, offset }));
    return text(toGray({ width, height, planes }));
  },
  // outputs: by the searched image's width and height, that of the graph
  detect: ({ data, width, height, outputs, spec, withCrowd }) => {
    const planes = [0, 1, 2].map(() => ({ data: bytes(data), step: 1, offset: 0 }));
    const run = (_, toHeight, toWidth) => {
      const output = outputs[`${toWidth}x${toHeight}`];
      return new Float32Array(bytes(output).buffer);
    };
    return detectFaces(run, spec, { width, height, planes }, { withCrowd });
  },
  round: ({ value }) => round(value),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { name, ...values } = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(await CALLS[name](values))}\n`);
}
