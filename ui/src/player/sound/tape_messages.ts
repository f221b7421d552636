// What the page and the audio thread say to each other.

/** The name by which the audio thread knows the processor. */
export const TAPE = "tape";

export type ToTape =
  /** Sound that begins at `time`, in seconds of media time. */
  | { type: "write"; time: number; left: Float32Array; right: Float32Array }
  /** Reads from this media time on, or from this much further on. */
  | { type: "seek"; to: number; turn: number }
  | { type: "shift"; by: number; turn: number }
  | { type: "pace"; pace: number }
  | { type: "forget"; turn: number };

/** Where the head was when the context's time was `at`. */
export interface FromTape {
  at: number;
  /** In seconds of media time; null before it was put anywhere. */
  position: number | null;
  /** Samples for which there was nothing, in all. */
  dry: number;
  /** The last move of the head that is in this. */
  turn: number;
}
