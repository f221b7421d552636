// The sound of a stream beside its picture: it is played without the MediaSource, which would hold the picture back until a tenth
// of a second of sound is ready, and kept in step with what is on the screen.

import type { MediaHeader } from "../../protocol/media_message";
import type { TrackInfo } from "../../protocol/messages";
import { Arrivals } from "../arrivals";
import { readSamples } from "../fmp4";
import { BESIDE_WINDOW_S } from "../latency";
import { playable } from "../media_buffer";
import { TrackFeed } from "../track_feed";
import { LipSync } from "./lip_sync";
import { canSpeak, Speaker, type SpeakerEvents } from "./speaker";

/** The most jitter of the sound that is made room for: who hears its picture late is worse off than who misses a word now and then. */
const JITTER_S_MAX = 0.3;
/** So many missing samples between two looks are a gap. */
const GAP_SAMPLES = 240;
/** Gaps right after a cut, or long after the last packet, say nothing about how late packets are. */
const AFTER_CUT_S = 0.5;
const SILENT_S = 0.2;

export class Sound {
  /** Times the sound ran dry. */
  gaps = 0;
  /** How much later than its picture the sound is heard, in seconds; null while there is no telling. */
  behind: number | null = null;
  readonly #arrivals = new Arrivals(BESIDE_WINDOW_S, JITTER_S_MAX);
  /** There is none before there is sound to play. */
  #speaker: Speaker | null = null;
  #paused = false;
  #sync = new LipSync();
  #feed: TrackFeed | null = null;
  #described = "";
  #arrivedAt = Number.NEGATIVE_INFINITY;
  #cutAt = Number.NEGATIVE_INFINITY;
  #ahead = 0;
  #dry = 0;
  #inGap = false;
  #failed = false;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly events: SpeakerEvents,
    private readonly signal: AbortSignal,
  ) {}

  /** The relay says what it sends; `fresh` over a new connection. What is left for the MediaSource: everything, where the sound can't
   * be played here. */
  watching(tracks: TrackInfo[], selected: number[], fresh: boolean): TrackInfo[] {
    const sent = tracks.filter(({ track }) => selected.includes(track));
    const withPicture = sent.some((info) => info.kind === "video" && playable(info));
    // Only a new connection brings the MediaSource the init segment that it needs.
    const able = !this.#failed || (!fresh && this.#feed !== null);
    const mine = able ? sent.find((info) => info.kind === "sound" && canSpeak(info)) : undefined;
    const described = JSON.stringify(withPicture ? mine : undefined) ?? "";
    if (described !== this.#described) {
      this.#described = described;
      this.#feed = mine && withPicture ? new TrackFeed(mine, false) : null;
      if (this.#feed) this.#speaker ??= this.#newSpeaker();
      this.#begin();
    }
    return this.#feed ? tracks.filter(({ kind }) => kind !== "sound") : tracks;
  }

  /** Whether this track is played here. */
  takes(track: number): boolean {
    return this.#feed?.info.track === track;
  }

  /** When a chunk is to be heard, in seconds; null for anything else. */
  media(header: MediaHeader, payload: Uint8Array): number | null {
    const feed = this.#feed;
    if (!feed) return null;
    if (header.kind === "init") {
      if (feed.takeInit(payload) === "new") this.#begin();
      return null;
    }
    let taken = feed.take(header, payload);
    if (taken.kind === "restarted") {
      feed.restart();
      this.#begin();
      taken = feed.take(header, payload);
    }
    if (taken.kind !== "chunk" || !feed.facts) return null;
    for (const { time, data } of readSamples(taken.bytes, feed.facts) ?? []) {
      this.#speaker?.packet(time / feed.facts.timescale, data);
    }
    return taken.time;
  }

  /** A chunk came in time order, not as part of a backlog. How far the picture may be for the sound's sake; null: wherever. */
  arrived(now: number, time: number): number | null {
    this.#arrivals.add(now, time);
    this.#arrivedAt = now;
    return this.#speaker?.on ? time + this.#sync.allowance(this.#ahead) : null;
  }

  /** The way that chunks take has changed. */
  reset(): void {
    this.#arrivals.reset();
  }

  pause(paused: boolean): void {
    this.#paused = paused;
    this.#speaker?.pause(paused);
  }

  /** Several times a second; `seen` is the media time on the screen, null while no picture moves. */
  tick(now: number, seen: number | null): void {
    const speaker = this.#feed && this.#speaker;
    const output = speaker?.output();
    this.behind = null;
    if (!speaker || !output) return;
    const { heard, ahead } = output;
    this.#ahead = ahead;
    if (heard !== null && seen !== null) this.behind = seen - heard;
    this.#lookForGap(now, output.dry);
    const decision = this.#sync.tick({ now, heard, ahead, ready: this.#arrivals.readyAt(now), seen });
    if (decision.kind === "pace") speaker.pace = decision.pace;
    if (decision.kind === "begin") speaker.begin(decision.at + ahead);
    if (decision.kind === "cut") speaker.shift(decision.by);
    if (decision.kind === "begin" || decision.kind === "cut") this.#cutAt = now;
  }

  #newSpeaker(): Speaker {
    const failed = () => {
      this.#failed = true;
      this.events.failed();
    };
    const speaker = new Speaker(this.video, { blocked: () => this.events.blocked(), failed }, this.signal);
    speaker.pause(this.#paused);
    return speaker;
  }

  #begin(): void {
    this.#arrivals.reset();
    this.#sync = new LipSync();
    if (this.#speaker) this.#speaker.pace = 1;
    this.#speaker?.forget();
  }

  #lookForGap(now: number, dry: number): void {
    const gap = dry - this.#dry > GAP_SAMPLES;
    this.#dry = dry;
    const telling = now - this.#cutAt > AFTER_CUT_S && now - this.#arrivedAt < SILENT_S;
    if (gap && !this.#inGap && telling) {
      this.gaps += 1;
      this.#sync.gap(now);
    }
    this.#inGap = gap;
  }
}
