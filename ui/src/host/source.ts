// What the desktop app can show: its sources, sounds and qualities, as its broadcaster names them.
import type { Quality } from "../protocol/generated/Quality";
import type { SoundChoice } from "../protocol/generated/SoundChoice";
import type { SourceChoice } from "../protocol/generated/SourceChoice";

export type { SoundChoice, SourceChoice };
export type AppQuality = Quality;

/** One thing that can be shown on this machine, or the reason why it can't. */
export interface SourceInfo {
  /** What to pass on as the choice. */
  choice: SourceChoice;
  /** Its name for people. */
  label: string;
  /** In pixels; 0 when only the system's own dialog decides. */
  width: number;
  height: number;
  /** Why it can't be used now, if it can't. */
  unavailable: string | null;
  /** Whether there is a preview of it. */
  preview: boolean;
}
