// What the desktop app can show: its sources, sounds and qualities, as its broadcaster names them.
import type { Quality } from "../protocol/generated/Quality";
import type { SoundChoice } from "../protocol/generated/SoundChoice";
import type { SourceChoice } from "../protocol/generated/SourceChoice";
import type { SourceInfo } from "../protocol/generated/SourceInfo";

export type { SoundChoice, SourceChoice, SourceInfo };
export type AppQuality = Quality;
