// A broadcast's state in a sentence for people.
import type { BroadcastState } from "../host/broadcast";

const SENTENCES: Record<BroadcastState, string> = {
  starting: "Getting the picture ready.",
  connecting: "Connecting. Nobody sees anything yet.",
  live: "People with the link see your screen.",
  stalled: "Nothing has arrived for a moment. Viewers may see a still picture.",
  reconnecting: "The connection broke. Trying again; viewers wait.",
  ended: "The stream is over.",
};

/** `behind`: the connection is slower than the picture. */
export function sentenceOf(state: BroadcastState, behind: boolean): string {
  if (state === "live" && behind)
    return "People see your screen, but your connection is slow: some frames are left out.";
  return SENTENCES[state];
}
