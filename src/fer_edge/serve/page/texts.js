// Every text of the page: translate here.
export const TEXTS = {
  skip: "Skip to the live view",
  cameraOn: "Camera is on",
  toDark: "Dark colours",
  toLight: "Light colours",
  logout: "Log out",
  liveTitle: "Live view",
  chooseCamera: "Which camera to show",
  serverCamera: "Board's camera",
  deviceCamera: "This device",
  rate: "Frames/s",
  faceCount: "Faces",
  temperature: "Temperature",
  viewers: "Viewers",
  facesTitle: "Expressions",
  noFaces: "No face in view.",
  courseTitle: "Last two minutes",
  axisStart: "2 minutes ago",
  axisEnd: "now",
  imagesTitle: "Read images",
  clear: "Clear",
  choose: "Choose images",
  dropHint: "or drop them here, or paste one",
  privacy: "Images are read on the board, in memory. Nothing is stored, logged or sent elsewhere.",
  api: "Interface",
  metrics: "Metrics",
  backToPage: "Back to the live view",
  document: "OpenAPI document",
  referenceTitle: "Interface",
  paths: "Paths",
  schemas: "JSON",
  body: "Body",
  or: "or",
  listOf: "list of",
  mapOf: "map of text to",
  optional: (name) => `${name} (optional)`,
  logInFirst: "Log in on the live view's page first.",
  loginTitle: "Log in",
  loginText: "This server needs the token that it was started with.",
  token: "Token",
  login: "Log in",
  wrongToken: "This token is wrong.",
  connecting: "Connecting …",
  connectingText: "Waiting for the first frame.",
  noSource: "No camera on the board",
  noSourceText:
    "Start the server with one: fer serve 0. This device's camera and images work without.",
  disconnected: "The connection to the server is lost. Trying again …",
  openingCamera: "The camera is being opened …",
  lost: (message) => `The camera is lost, and is tried again. ${message}`,
  viewersFull: "The live view has as many viewers as it allows. Trying again …",
  deviceStarting: "Waiting for this device's camera …",
  deviceText: "The browser may want your permission.",
  deviceInsecure:
    "Browsers give a camera to pages over HTTPS or on localhost alone. Start the server with " +
    "--certfile and --keyfile, or open the page on the board itself.",
  deviceRefused: (reason) => `This device's camera cannot be used: ${reason}`,
  busy: "The server is busy. Trying again …",
  failed: (reason) => `Not read: ${reason}`,
  reading: (count) => (count === 1 ? "Reading 1 image …" : `Reading ${count} images …`),
  noImages: "There is no image among these files.",
  unreachable: "the server cannot be reached",
  face: (number) => `Face ${number}`,
  showInChart: (name) => `Show ${name} in the chart`,
  percent: (value) => `${Math.round(value * 100)} %`,
  degrees: (value) => `${Math.round(value)} °C`,
  throttled: (states) => `The board is slowed down: ${states.join(", ")}`,
  faces: (count) => (count === 0 ? "no face" : count === 1 ? "1 face" : `${count} faces`),
  pictureLabel: (parts) => `Live picture: ${parts.length ? parts.join(", ") : "no face"}`,
  announce: (parts) => (parts.length ? parts.join(", ") : "No face in view"),
  // number: 0 where a face is alone
  tag: (number, label, percent) => (number ? `${number} · ` : "") + `${label} ${percent}`,
  named: (name, label) => `${name}: ${label}`,
  chartLabel: (name, label, fraction) =>
    `Expressions of ${name} over the last two minutes: ${label} ${fraction} of the time`,
  chartEmpty: "No expressions yet",
  mostly: (name, label, fraction) => `${name}: ${label} ${fraction} of the time`,
  model: (name, version) => `Model ${name} ${version}`.trim(),
};

export function fillTexts(root) {
  for (const node of root.querySelectorAll("[data-text]")) {
    node.textContent = TEXTS[node.dataset.text];
  }
  for (const node of root.querySelectorAll("[data-label]")) {
    node.setAttribute("aria-label", TEXTS[node.dataset.label]);
  }
}
