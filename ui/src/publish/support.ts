// What this browser lacks for broadcasting, said in words before anything is asked for.
import { supportedConfig } from "./picture";

export interface Lack {
  /** What is missing, in one sentence. */
  what: string;
  /** The way out. */
  instead: string;
}

const USE_CHROMIUM = "Use Chrome, Edge or another Chromium browser on a computer, or the desktop app.";

/** What is missing here, or nothing when this page can broadcast. */
export async function broadcastLack(): Promise<Lack | undefined> {
  if (!globalThis.isSecureContext) {
    return {
      what: "This page was opened over plain http, and browsers only share a screen over https or on localhost.",
      instead: "You can watch here. To go live, open the https address of this server, or use the desktop app.",
    };
  }
  if (!navigator.mediaDevices || !("getDisplayMedia" in navigator.mediaDevices)) {
    return {
      what: "This browser can't share a screen. On phones and tablets none can.",
      instead: `You can watch here. To go live: ${USE_CHROMIUM.charAt(0).toLowerCase()}${USE_CHROMIUM.slice(1)}`,
    };
  }
  if (!("VideoEncoder" in globalThis) || !(await supportedConfig(1280, 720, "balanced"))) {
    return { what: "This browser has no H.264 encoder that pages can use.", instead: USE_CHROMIUM };
  }
  return undefined;
}
