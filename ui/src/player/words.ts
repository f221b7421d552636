// What a person reads about a state, and what they can do about it.

import type { PasswordWanted } from "./admission";
import type { FailureCode, LockedWhy, PlayerState } from "./state";

export interface Words {
  /** A small pill over a picture that will go on, or a veil where there is nothing to see. */
  shape: "none" | "pill" | "veil";
  title: string;
  detail: string;
  busy: boolean;
  action: "none" | "retry" | "play";
  /** Whether the password is asked for here; `waitMs`: from when on it may be tried. */
  password: { waitMs: number } | null;
}

const NOTHING: Words = { shape: "none", title: "", detail: "", busy: false, action: "none", password: null };

/** Failures that another try does not mend. */
const FOR_GOOD: ReadonlySet<FailureCode> = new Set(["viewer_removed"]);

const FAILURES: Partial<Record<FailureCode, [title: string, detail: string]>> = {
  stream_not_found: ["This stream is not live", "It has ended, or the link is not complete."],
  unsupported_media: [
    "This browser can't play this stream",
    "Another browser, such as Chrome, Edge or Firefox, should.",
  ],
  viewer_removed: [
    "You were removed from this stream",
    "The broadcaster has removed you. You can’t come back, and neither can others on your network address.",
  ],
  unsupported_protocol: ["This page is out of date", "Load it again to get the current one."],
};

const LOCKED: Record<LockedWhy, [title: string, detail: string]> = {
  no_key: [
    "This stream is end-to-end encrypted",
    "Open it with the whole link, including what stands after #. Whoever shared it can send it again.",
  ],
  wrong_key: [
    "This link does not open the stream",
    "What stands after # in the link is not this stream’s key. Ask for the link again, and open all of it.",
  ],
  not_sealed: [
    "This stream is not what it should be",
    "Your link is for an encrypted stream, but what arrives is not encrypted, so it is not shown. Ask whoever shared it.",
  ],
  insecure_context: [
    "This page can’t open encrypted streams",
    "It was opened over plain http, where browsers lend pages no cryptography. Open the link with https, or in the desktop app.",
  ],
};

function passwordWords({ why, waitMs }: PasswordWanted): [title: string, detail: string] {
  const title = "This stream has a password";
  if (why === "required") return [title, "Whoever shared the link can tell you."];
  if (why === "wrong") return [title, "That is not the password. Try again."];
  return [title, `That was one try too many. The next is possible in ${Math.ceil(waitMs / 1000)} seconds.`];
}

export function wordsFor(state: PlayerState, pictureSeen: boolean): Words {
  switch (state.kind) {
    case "idle":
    case "playing":
      return NOTHING;
    case "connecting":
      return { ...NOTHING, shape: "veil", title: "Connecting…", busy: true };
    case "waiting_for_media":
      return { ...NOTHING, shape: "veil", title: "Waiting for the picture…", busy: true };
    case "paused":
      return { ...NOTHING, shape: "veil", title: "Paused", detail: "Press play to go on live.", action: "play" };
    case "stalled":
      return { ...NOTHING, shape: "pill", title: "Catching up…", busy: true };
    case "offline":
      return {
        ...NOTHING,
        shape: pictureSeen ? "pill" : "veil",
        title: "This device is offline",
        detail: "The stream goes on by itself when the network is back.",
      };
    case "reconnecting": {
      const trying = state.attempt > 3 ? "Still trying to reconnect…" : "Reconnecting…";
      const title = state.busy ? "The server asks for a moment…" : trying;
      return { ...NOTHING, shape: pictureSeen ? "pill" : "veil", title, busy: true };
    }
    case "needs_password": {
      const [title, detail] = passwordWords(state.wanted);
      return { ...NOTHING, shape: "veil", title, detail, password: { waitMs: state.wanted.waitMs } };
    }
    case "locked": {
      const [title, detail] = LOCKED[state.why];
      return { ...NOTHING, shape: "veil", title, detail };
    }
    case "broadcaster_away":
      return {
        ...NOTHING,
        shape: "veil",
        title: "The broadcaster lost the connection",
        detail: "The stream goes on here when they are back.",
        busy: true,
      };
    case "ended":
      return { ...NOTHING, shape: "veil", title: "The stream has ended", detail: "Thanks for watching." };
    case "failed": {
      const [title, detail] = FAILURES[state.code] ?? ["The stream can't be played", state.message];
      return { ...NOTHING, shape: "veil", title, detail, action: FOR_GOOD.has(state.code) ? "none" : "retry" };
    }
    case "needs_click":
      return { ...NOTHING, shape: "veil", title: "Ready to play", action: "play" };
  }
}

/** A delay as a person says it. */
export function delayWords(ms: number): string {
  const whole = Math.max(0, ms);
  return whole < 995 ? `${Math.round(whole / 10) * 10} ms` : `${(whole / 1000).toFixed(1)} s`;
}

/** A picture's size: `1280 × 720`. */
export function pictureWords({ width, height }: { width: number; height: number }): string {
  return width > 0 && height > 0 ? `${width} × ${height}` : "Unknown size";
}

/** What comes by itself, and why when it is not the largest. */
export function automaticWords(shown: { width: number; height: number }, reduced: boolean): string {
  return reduced ? `Now ${pictureWords(shown)}: your connection is slow` : `Now ${pictureWords(shown)}`;
}

export function viewersWords(count: number): string {
  return count === 1 ? "1 viewer" : `${count} viewers`;
}
