// What a player is doing, in words for the person in front of it.
import type { PlayerState } from "../player";

export interface StateWords {
  /** One or two words. */
  label: string;
  /** A sentence where one helps. */
  sentence: string;
  tone: "live" | "wait" | "over";
}

export function playerWords(state: PlayerState): StateWords {
  switch (state.kind) {
    case "playing":
      return { label: "Live", sentence: "", tone: "live" };
    case "idle":
    case "connecting":
      return { label: "Connecting", sentence: "Looking for the stream.", tone: "wait" };
    case "waiting_for_media":
      return { label: "Starting", sentence: "Connected. The picture comes any moment.", tone: "wait" };
    case "paused":
      return { label: "Paused", sentence: "Play goes on with what is live then.", tone: "wait" };
    case "needs_click":
      return { label: "Ready", sentence: "Your browser wants a click before anything plays.", tone: "wait" };
    case "stalled":
      return { label: "Waiting", sentence: "No picture has come for a moment.", tone: "wait" };
    case "offline":
      return {
        label: "Offline",
        sentence: "This device has no network. The stream goes on by itself when it is back.",
        tone: "wait",
      };
    case "reconnecting":
      return { label: "Reconnecting", sentence: "The connection broke. It comes back by itself.", tone: "wait" };
    case "needs_password":
      return { label: "Password", sentence: "Only people who know the password can watch.", tone: "wait" };
    case "locked":
      return { label: "Encrypted", sentence: "", tone: "wait" };
    case "broadcaster_away":
      return { label: "Interrupted", sentence: "The broadcaster’s connection broke. It may come back.", tone: "wait" };
    case "ended":
      return { label: "Ended", sentence: "This stream is over.", tone: "over" };
    case "failed":
      return {
        label: state.code === "viewer_removed" ? "Removed" : "Can’t play",
        sentence: failureSentence(state),
        tone: "over",
      };
  }
}

function failureSentence({ code, message }: Extract<PlayerState, { kind: "failed" }>): string {
  switch (code) {
    case "stream_not_found":
    case "not_found":
    case "invalid_request":
      return "There is no such stream: it is over, or a part of the link got lost.";
    case "viewer_removed":
      return "The broadcaster has removed you from this stream. You can’t come back, and neither can others on your network address.";
    case "unreachable":
      return "The directory can’t be reached. Check your connection.";
    case "unsupported_media":
      return "This browser can’t play live H.264 video. Try a current Chrome, Edge, Firefox or Safari.";
    case "no_relay":
    case "too_many_viewers":
      return "No relay has room for another viewer right now. Try again in a moment.";
    default:
      return message;
  }
}
