// This device's camera: a frame at a time is read, the next one after its result.
import { Problem, predictFrame } from "./api.js";
import { make } from "./dom.js";
import { TEXTS } from "./texts.js";

const MAX_SIDE = 640;

export const isAllowed = () => window.isSecureContext && Boolean(navigator.mediaDevices);

export class DeviceCamera {
  // handlers: onFrame(result, canvas), onProblem(text), onStarted()
  constructor(handlers) {
    this.handlers = handlers;
    this.stream = null;
    this.video = null;
    this.run = 0;
  }

  async start() {
    const run = ++this.run;
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: "user", width: { ideal: 1280 } },
      });
    } catch (error) {
      if (run === this.run) this.handlers.onProblem(TEXTS.deviceRefused(error.message));
      return;
    }
    if (run !== this.run) return stopTracks(stream);
    this.stream = stream;
    // in the page, though unseen: some phones decode no frames otherwise
    const video = make("video", { className: "hidden", muted: true, playsInline: true });
    video.setAttribute("aria-hidden", "true");
    video.srcObject = stream;
    document.body.append(video);
    this.video = video;
    await video.play();
    this.handlers.onStarted();
    const canvas = document.createElement("canvas");
    while (run === this.run) await this.readFrame(video, canvas, run);
  }

  async readFrame(video, canvas, run) {
    const scale = Math.min(1, MAX_SIDE / Math.max(video.videoWidth, video.videoHeight, 1));
    canvas.width = Math.max(1, Math.round(video.videoWidth * scale));
    canvas.height = Math.max(1, Math.round(video.videoHeight * scale));
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    pen.drawImage(video, 0, 0, canvas.width, canvas.height);
    try {
      const result = await predictFrame(canvas);
      if (run === this.run) this.handlers.onFrame(result, canvas);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (run !== this.run) return;
      this.handlers.onProblem(error.status === 503 ? TEXTS.busy : TEXTS.failed(error.message), error);
      await new Promise((done) => setTimeout(done, 1000 * (error.retryAfter || 2)));
    }
  }

  stop() {
    this.run += 1;
    if (this.stream) stopTracks(this.stream);
    if (this.video) this.video.remove();
    this.stream = this.video = null;
  }
}

function stopTracks(stream) {
  for (const track of stream.getTracks()) track.stop();
}
