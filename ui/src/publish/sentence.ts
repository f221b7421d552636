// A broadcast's state in a sentence for people, with the way out where there is one.
import type { BroadcastState } from "../host/broadcast";
import { bitrateInWords } from "../words/amounts";
import type { LineMood } from "./line_mood";

/** What people should know of a broadcast at one moment. */
export interface Circumstances {
  state: BroadcastState;
  /** The connection is behind: frames are left out. */
  behind: boolean;
  line: LineMood;
  /** A small picture is sent too. */
  hasSmall: boolean;
  /** What the picture is sent at, in kbit/s. */
  pictureKbit: number;
  /** Whether this computer has a network, as far as the browser knows. */
  online: boolean;
  /** `hidden`: what is shared delivers no picture for now; `gone`: it never will again. */
  source: "shown" | "hidden" | "gone";
  /** The computer has slept a moment ago. */
  woke: boolean;
}

const SENTENCES: Record<BroadcastState, string> = {
  starting: "Getting the picture ready.",
  connecting: "Connecting. Nobody sees anything yet.",
  live: "People with the link see your screen.",
  stalled: "Nothing has arrived for a moment. Viewers may see a still picture.",
  reconnecting: "The connection broke. Trying again; viewers wait.",
  ended: "The stream is over.",
};

export function sentenceOf(now: Circumstances): string {
  const { state } = now;
  if (state === "ended") return SENTENCES.ended;
  if (state !== "live") {
    if (!now.online) return "This computer is offline. Look at its cable or Wi-Fi; the stream goes on by itself.";
    if (now.woke) return "This computer was asleep. Connecting again; viewers wait.";
    return SENTENCES[state];
  }
  if (now.source === "gone")
    return "What you shared was closed, or sharing it was stopped. Viewers see a card; the stream and its link stay.";
  if (now.source === "hidden")
    return "What you share is hidden or minimised. Viewers see its last picture until it is back on your screen.";
  if (now.woke) return "This computer was asleep. The stream goes on.";
  if (now.line === "too_slow") {
    const what = now.hasSmall
      ? "Your connection is too slow for the full picture: who watches the small one still gets it."
      : "Your connection is too slow for any picture: frames are left out.";
    return `${what} A cable, or a place nearer to your Wi-Fi, would help.`;
  }
  const rate = bitrateInWords(now.pictureKbit);
  if (now.line === "slow")
    return `Your connection is slow: the picture is sent at ${rate}. It gets sharper by itself when there is room.`;
  if (now.line === "good_again") return `Your connection is good again: the picture is sent at ${rate}.`;
  if (now.behind) return "People see your screen, but your connection is slow: some frames are left out.";
  return SENTENCES.live;
}
