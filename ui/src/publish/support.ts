// What this browser lacks for broadcasting, said in words before anything is asked for.
import { QUALITIES } from "./codec";
import { supportedConfig } from "./frame_encoder";

export interface Lack {
  /** What can't broadcast. */
  title: string;
  /** What is missing, in one or two sentences. */
  what: string;
  /** The way out. */
  instead: string;
}

const THIS_BROWSER = "This browser can’t broadcast";
const USE_CHROMIUM = "Use Chrome, Edge or another Chromium browser on a computer, or the desktop app.";

/** Where the same page would be over https. */
function httpsAddress(): string {
  return globalThis.location === undefined ? "" : ` (perhaps https://${location.hostname})`;
}

/** What is missing here, or nothing when this page can broadcast. */
export async function broadcastLack(): Promise<Lack | undefined> {
  if (!globalThis.isSecureContext) {
    return {
      title: "This address can’t broadcast",
      what:
        "This page came over plain http, where anybody on the way could change it. So browsers let it play streams, but not share a " +
        "screen or open an encrypted stream. That takes https, or a server on this very computer.",
      instead: `You can watch here. To go live, use the desktop app, or open the https address of this server${httpsAddress()}. Whoever runs it can turn https on.`,
    };
  }
  if (!navigator.mediaDevices || !("getDisplayMedia" in navigator.mediaDevices)) {
    return {
      title: THIS_BROWSER,
      what: "This browser can't share a screen. On phones and tablets none can.",
      instead: `You can watch here. To go live: ${USE_CHROMIUM.charAt(0).toLowerCase()}${USE_CHROMIUM.slice(1)}`,
    };
  }
  if (!("VideoEncoder" in globalThis) || !(await supportedConfig(QUALITIES.balanced))) {
    return {
      title: THIS_BROWSER,
      what: "This browser has no H.264 encoder that pages can use.",
      instead: USE_CHROMIUM,
    };
  }
  return undefined;
}
