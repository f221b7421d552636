// Viewers as a broadcaster reads of them, and who can be one.
import type { Visibility } from "../protocol/generated/Visibility";
import { lengthInWords } from "./time";

/** Enough of a viewer's number to tell a few apart. */
export function shortViewer(viewer: string): string {
  return viewer.slice(0, 4);
}

/** `just now`, `4 min`, `2 h`. */
export function sinceInWords(ms: number): string {
  return ms < 60_000 ? "just now" : lengthInWords(ms);
}

const VISIBILITIES: Record<Visibility, string> = {
  public: "In the live list",
  unlisted: "Only with the link",
  password: "Only with the password",
};

export function visibilityInWords(visibility: Visibility): string {
  return VISIBILITIES[visibility];
}
