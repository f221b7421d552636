// The size of picture a person chose, kept in this browser.

import { AUTOMATIC, type PictureChoice } from "./picture";

const NAME = "live-player.picture";

export function recallPicture(): PictureChoice {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(NAME) ?? "null");
    if (typeof kept !== "object" || kept === null) return AUTOMATIC;
    const { height } = kept as Record<string, unknown>;
    return typeof height === "number" && height > 0 ? { height } : AUTOMATIC;
  } catch {
    // Storage is closed to this page, or holds nonsense: both are like a first visit.
    return AUTOMATIC;
  }
}

export function rememberPicture(choice: PictureChoice): void {
  try {
    if (choice === "automatic") localStorage.removeItem(NAME);
    else localStorage.setItem(NAME, JSON.stringify(choice));
  } catch {
    // A page without storage forgets; nothing else depends on it.
  }
}
