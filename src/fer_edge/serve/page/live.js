// The board's camera over a WebSocket: a text message with each result, then its frame as JPEG.
const DELAYS = [500, 1000, 2000, 4000, 8000];

export class LiveConnection {
  // handlers: onFrame(result, bitmap), onStatus(status), onClosed()
  constructor(handlers) {
    this.handlers = handlers;
    this.socket = null;
    this.timer = 0;
    this.failures = 0;
  }

  start() {
    clearTimeout(this.timer);
    if (this.socket) return;
    const address = new URL("v1/live", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    socket.binaryType = "blob";
    this.socket = socket;
    let result = null;
    socket.onmessage = async ({ data }) => {
      if (typeof data === "string") {
        const message = JSON.parse(data);
        if (message.status) {
          this.failures = 0;
          this.handlers.onStatus(message.status);
        } else result = message.result;
        return;
      }
      const own = result;
      try {
        const bitmap = await createImageBitmap(data);
        if (this.socket === socket) this.handlers.onFrame(own, bitmap);
        bitmap.close();
      } finally {
        // only now: a slow browser gets the newest frame next, not the oldest
        if (socket.readyState === WebSocket.OPEN) socket.send("");
      }
    };
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.socket = null;
      this.handlers.onClosed();
    };
  }

  retry() {
    clearTimeout(this.timer);
    const delay = DELAYS[Math.min(this.failures, DELAYS.length - 1)];
    this.failures += 1;
    this.timer = setTimeout(() => this.start(), delay);
  }

  stop() {
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    if (socket) socket.close();
  }
}
