// The volume a person chose, kept in this browser.

const NAME = "live-player.volume";

export interface Volume {
  /** From 0 to 1. */
  level: number;
  muted: boolean;
}

export const LOUD: Volume = { level: 1, muted: false };

export function recallVolume(): Volume {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(NAME) ?? "null");
    if (typeof kept !== "object" || kept === null) return LOUD;
    const { level, muted } = kept as Record<string, unknown>;
    if (typeof level !== "number" || !(level >= 0 && level <= 1)) return LOUD;
    return { level, muted: muted === true };
  } catch {
    // Storage is closed to this page, or holds nonsense: both are like a first visit.
    return LOUD;
  }
}

export function rememberVolume(volume: Volume): void {
  try {
    localStorage.setItem(NAME, JSON.stringify(volume));
  } catch {
    // A page without storage forgets; nothing else depends on it.
  }
}
