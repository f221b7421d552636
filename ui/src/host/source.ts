// What the desktop app can show: its sources, sounds and qualities, as its broadcaster names them.

export type SourceChoice =
  | { kind: "screen" }
  | { kind: "portal" }
  | { kind: "test" }
  | { kind: "file"; path: string; repeat: boolean };

export interface SourceInfo {
  choice: SourceChoice;
  label: string;
  width: number;
  height: number;
  unavailable: string | null;
  preview: boolean;
}

export type SoundChoice = "none" | "system" | "microphone" | "both";

export type AppQuality = "720p30" | "1080p30" | "1080p60" | "native";
