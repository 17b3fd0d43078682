import { TEXTS } from "./texts.js";

const QUALITY = 0.8; // of JPEG

// An error that the server explains (problem details), or that it cannot be reached (status 0).
export class Problem extends Error {
  constructor(status, detail, retryAfter = 0) {
    super(detail);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

async function call(path, options) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch {
    throw new Problem(0, TEXTS.unreachable);
  }
  if (response.ok) return response;
  const detail = await response.json().then((body) => body.detail, () => response.statusText);
  throw new Problem(response.status, detail, Number(response.headers.get("Retry-After")) || 0);
}

export const getJson = async (path) => (await call(path)).json();

const predict = async (body) => (await call("v1/predict", { method: "POST", body })).json();

// The faces of an image file.
export async function predictFile(file) {
  const form = new FormData();
  form.append("image", file);
  return (await predict(form)).results[0];
}

// The faces of a camera's frame on a canvas.
export async function predictFrame(canvas) {
  return predict(await new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY)));
}

export const logOut = () => call("logout", { method: "POST" });

export const logIn = (token) =>
  call("login", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token }),
  });
