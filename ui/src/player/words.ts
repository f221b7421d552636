// What a person reads about a state, and what they can do about it.

import type { FailureCode, PlayerState } from "./state";

export interface Words {
  /** A small pill over a picture that will go on, or a veil where there is nothing to see. */
  shape: "none" | "pill" | "veil";
  title: string;
  detail: string;
  busy: boolean;
  action: "none" | "retry" | "play";
}

const NOTHING: Words = { shape: "none", title: "", detail: "", busy: false, action: "none" };

const FAILURES: Partial<Record<FailureCode, [title: string, detail: string]>> = {
  stream_not_found: ["This stream is not live", "It has ended, or the link is not complete."],
  unsupported_media: [
    "This browser can't play this stream",
    "Another browser, such as Chrome, Edge or Firefox, should.",
  ],
  unsupported_protocol: ["This page is out of date", "Load it again to get the current one."],
};

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
    case "reconnecting": {
      const title = state.attempt > 3 ? "Still trying to reconnect…" : "Reconnecting…";
      return { ...NOTHING, shape: pictureSeen ? "pill" : "veil", title, busy: true };
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
      return { ...NOTHING, shape: "veil", title, detail, action: "retry" };
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

export function viewersWords(count: number): string {
  return count === 1 ? "1 viewer" : `${count} viewers`;
}
