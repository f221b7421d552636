// A running broadcast as the pages see it, whoever runs it: this page in a browser, or the desktop app.

export type BroadcastState = "starting" | "connecting" | "live" | "stalled" | "reconnecting" | "ended";

export interface BroadcastStatus {
  state: BroadcastState;
  /** The same in a sentence for people, with the reason when something is wrong. */
  sentence: string;
  /** The broadcast ended because of a failure; `sentence` says which. */
  failed: boolean;
  stream: string;
  watch_link: string;
  /** When the first chunk was confirmed, in milliseconds since the Unix epoch by this machine's clock. */
  started_at_ms: number | null;
  viewers: number;
  /** What the relay takes in, in kbit/s. */
  bitrate_kbit_s: number;
  /** Frames per second that leave the encoder; a still screen has few. */
  frame_rate: number;
  width: number;
  height: number;
  /** Frames that were not sent because a connection or an encoder was too slow. */
  dropped_frames: number;
  dropped_segments: number;
  encoder: string;
  sound: boolean;
  relay: string | null;
}

export interface Broadcast {
  readonly id: string;
  readonly title: string;
  /** The newest status. */
  readonly status: BroadcastStatus;
  /** Things worth knowing that are no failure, in sentences. */
  readonly notices: string[];
  /** Calls `listener` with each new status, several times a second; answers a function that ends it. */
  onStatus(listener: (status: BroadcastStatus) => void): () => void;
  /** Ends the stream for everybody. */
  stop(): Promise<void>;
}
