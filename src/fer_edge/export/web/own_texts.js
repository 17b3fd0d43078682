// The texts that only this page has; the others are in texts.js.
import { TEXTS } from "./texts.js";

Object.assign(TEXTS, {
  cameraTitle: "Camera",
  startCamera: "Start the camera",
  stopCamera: "Stop the camera",
  cameraOff: "The camera is off",
  cameraOffText: "Its images are read on this device, and not recorded.",
  cameraInsecure:
    "Browsers give a camera to pages over HTTPS or on localhost alone. Images work without one.",
  loading: "Loading the model …",
  loadingText: "At the first visit the engine, 14 MB, and the model are loaded, and kept.",
  notLoaded: "The model could not be loaded",
  undecodable: "this browser can't decode it",
  ownPrivacy: "Images are read in this browser. Nothing is stored, or sent anywhere.",
  worksOffline: "Works without a network.",
  needsNetwork: (reason) => `Needs a network: ${reason}`,
  selfTest: ({ samples, maxLogitDiff }) =>
    `Self-test: ${samples} faces as in PyTorch, logits within ${maxLogitDiff.toPrecision(1)}.`,
});
