// The spec inside an ONNX file: its metadata, read without an engine. Field numbers are those of
// onnx.proto.
const METADATA = 14;
const [KEY, VALUE] = [1, 2];
const SCHEMA = 1; // the latest that this page reads
const SIZES = { 1: 8, 5: 4 }; // bytes of a value, by protobuf's wire type

function readVarint(bytes, at) {
  let value = 0;
  for (let factor = 1; at < bytes.length; factor *= 128) {
    const byte = bytes[at];
    at += 1;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) return [value, at];
    if (factor > 2 ** 63) break;
  }
  throw new RangeError("cut off");
}

// Number and bytes of each field of a protobuf message; integers are left out.
function* readFields(bytes) {
  let at = 0;
  while (at < bytes.length) {
    let key;
    [key, at] = readVarint(bytes, at);
    const [number, wire] = [Math.floor(key / 8), key % 8];
    let size = SIZES[wire];
    if (wire === 0) [, at] = readVarint(bytes, at);
    if (wire === 0) continue;
    if (wire === 2) [size, at] = readVarint(bytes, at);
    if (size === undefined || size > bytes.length - at) throw new RangeError("cut off");
    yield [number, bytes.subarray(at, at + size)];
    at += size;
  }
}

// task: undefined for a model of expressions, "face-detection" for a detector.
// Throws an Error that names the file.
export function readSpec(bytes, name, task) {
  let found;
  const text = new TextDecoder("utf-8", { fatal: true });
  try {
    for (const [number, entry] of readFields(bytes)) {
      if (number !== METADATA) continue;
      const fields = Object.fromEntries(readFields(entry));
      if (text.decode(fields[KEY]) === "fer_edge") found = JSON.parse(text.decode(fields[VALUE]));
    }
  } catch {
    throw new Error(`${name}: damaged or cut off, or no ONNX file: copy it again`);
  }
  if (!found) throw new Error(`${name}: no spec inside: use a file that fer export wrote`);
  if (!(found.schema <= SCHEMA)) {
    throw new Error(`${name}: its spec has schema ${found.schema}, this page reads up to ${SCHEMA}`);
  }
  if (found.task !== task) throw new Error(`${name}: a model of another task`);
  return found;
}

// Base64 as bytes.
export const decode = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
