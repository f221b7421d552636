// Keeps the sound's timeline on the clock that the pictures are stamped with. A busy machine delivers captured sound late or
// loses some of it; without this the sound would fall behind the picture for good. Pure: packets and times go in, decisions
// come out.

/** Length of one Opus packet here, in milliseconds. */
export const PACKET_MS = 20;
/** Twenty milliseconds of silence: full band CELT, stereo, no data (RFC 6716 3.1). */
export const SILENT_PACKET = Uint8Array.of(0xfc, 0xff, 0xfe);

/** Packets that are looked at before the timeline is judged: a second, so that one late delivery is no drift. */
const JUDGED_PACKETS = 50;
/** Sound this far behind is moved forward. People notice sound that lags by more than about 125 ms (ITU-R BT.1359), and players hold
 * their picture back for what lags. */
const BEHIND_MS_MAX = 60;
/** Sound this far ahead is thinned out: nothing is captured before it happens, so only a late first packet does this. */
const AHEAD_MS_MAX = PACKET_MS;
/** Without any packet for this long, silence is sent: a player waits for all its tracks. */
const QUIET_MS_MAX = 250;
/** Silence is filled up to this far behind the clock, so that real sound that comes late still has its place. */
const FILL_BEHIND_MS = 60;
/** A gap longer than this, of a machine that slept, stays a gap: nobody who was there before it is there still. */
const FILL_MS_MAX = 10_000;

/** What to send for one packet, in this order: silence, then the packet itself unless it is left out. */
export interface Anchored {
  silentPackets: number;
  keep: boolean;
}

export class SoundAnchor {
  /** Where the timeline ends, in milliseconds since the session began. */
  #endMs: number | undefined;
  #lags: number[] = [];
  #tooMany = 0;
  #lastPacketMs = 0;

  /** Where the next packet goes, in milliseconds since the session began. */
  get endMs(): number {
    return this.#endMs ?? 0;
  }

  /** A packet has come out of the encoder at `nowMs` (since the session began). */
  packet(nowMs: number): Anchored {
    this.#lastPacketMs = nowMs;
    if (this.#endMs === undefined) {
      this.#endMs = Math.max(0, nowMs - PACKET_MS);
      return { silentPackets: 0, keep: true };
    }
    if (nowMs - this.#endMs > FILL_MS_MAX) {
      this.#endMs = nowMs - PACKET_MS;
      this.#lags = [];
    }
    if (this.#tooMany > 0) {
      this.#tooMany -= 1;
      return { silentPackets: 0, keep: false };
    }
    this.#lags.push(nowMs - (this.#endMs + PACKET_MS));
    if (this.#lags.length < JUDGED_PACKETS) return { silentPackets: 0, keep: true };
    // The smallest lag is what remains when late deliveries are taken out.
    const lag = Math.min(...this.#lags);
    this.#lags = [];
    if (lag > BEHIND_MS_MAX) return { silentPackets: Math.floor(lag / PACKET_MS), keep: true };
    if (lag <= -AHEAD_MS_MAX) this.#tooMany = Math.floor(-lag / PACKET_MS);
    return { silentPackets: 0, keep: true };
  }

  /** Silent packets to send now because nothing has come for too long. */
  quiet(nowMs: number): number {
    if (nowMs - this.#lastPacketMs < QUIET_MS_MAX) return 0;
    this.#endMs ??= Math.max(0, nowMs - QUIET_MS_MAX);
    this.#lags = [];
    const fillToMs = nowMs - FILL_BEHIND_MS;
    if (fillToMs - this.#endMs > FILL_MS_MAX) this.#endMs = fillToMs - PACKET_MS;
    return Math.max(0, Math.floor((fillToMs - this.#endMs) / PACKET_MS));
  }

  /** One packet, real or silent, was sent. */
  sent(): void {
    this.#endMs = this.endMs + PACKET_MS;
  }
}
