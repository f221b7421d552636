// Decoded sound by its media time, and a head that reads it: at a steady pace, a little faster or slower, or from another place
// after a cross-fade. What is not there is silence, and the head goes on: time does not wait. Pure; runs in the audio thread.

/** How much is held: what comes in a burst after a hiccup, and what a late joiner gets at once. */
const HELD_S = 4;
/** Cuts are faded over this long: shorter is heard as a click, longer as an echo. */
const FADE_S = 0.005;
/** Pieces whose times differ from where the last one ended by less than this follow it: times come rounded to milliseconds. */
const SNAP_S = 0.005;

export type Channels = readonly [Float32Array, Float32Array];

export class Tape {
  /** Samples for which the head found nothing, in all. */
  dry = 0;
  readonly #held: Channels;
  readonly #size: number;
  readonly #fade: number;
  /** What is held, in samples of the media time: from the first, up to but without the last. */
  #from = 0;
  #end = 0;
  #head: number | null = null;
  /** Where the head was before it was moved, while that is still faded out, and for how many samples more. */
  #left = 0;
  #leaving = 0;
  #gain = 0;

  constructor(private readonly rate: number) {
    this.#size = Math.round(HELD_S * rate);
    this.#fade = Math.round(FADE_S * rate);
    this.#held = [new Float32Array(this.#size), new Float32Array(this.#size)];
  }

  /** Where the head is, in seconds of media time; null before it was put anywhere. */
  get position(): number | null {
    return this.#head === null ? null : this.#head / this.rate;
  }

  /** Keeps a piece of sound that begins at `time`, in seconds. */
  write(time: number, sound: Channels): void {
    const length = sound[0].length;
    let at = Math.round(time * this.rate);
    if (Math.abs(at - this.#end) <= SNAP_S * this.rate) at = this.#end;
    if (at > this.#end + this.#size || at + length < this.#end - this.#size) {
      this.#from = at;
      this.#end = at;
    }
    for (let n = this.#end; n < at; n++) this.#put(n, 0, 0);
    // A piece before the first one leaves nothing undefined between them.
    this.#from = Math.min(this.#from, at);
    for (let i = 0; i < length; i++) this.#put(at + i, sound[0][i] ?? 0, sound[1][i] ?? 0);
    this.#end = Math.max(this.#end, at + length);
    this.#from = Math.max(this.#from, this.#end - this.#size);
  }

  /** Forgets all that is held, and where the head is. */
  forget(): void {
    this.#from = 0;
    this.#end = 0;
    this.#head = null;
    this.#leaving = 0;
    this.#gain = 0;
  }

  /** Puts the head to a media time, in seconds. */
  seek(to: number): void {
    if (this.#head !== null && this.#gain > 0) {
      this.#left = this.#head;
      this.#leaving = this.#fade;
    }
    this.#head = Math.round(to * this.rate);
  }

  /** Fills both channels with what comes next; `pace` is 1, or a little more or less. */
  read(out: Channels, pace: number): void {
    const [left, right] = out;
    for (let i = 0; i < left.length; i++) {
      if (this.#head === null) {
        left[i] = 0;
        right[i] = 0;
        continue;
      }
      const there = this.#has(this.#head);
      if (!there) this.dry += 1;
      // Fades in after silence, and out before an end that is known.
      const until = (this.#end - 1 - this.#head) / this.#fade;
      this.#gain = there ? Math.max(0, Math.min(1, this.#gain + 1 / this.#fade, until)) : 0;
      const share = this.#leaving / this.#fade;
      left[i] = this.#gain * (1 - share) * this.#at(0, this.#head) + share * this.#at(0, this.#left);
      right[i] = this.#gain * (1 - share) * this.#at(1, this.#head) + share * this.#at(1, this.#left);
      if (this.#leaving > 0) {
        this.#leaving -= 1;
        this.#left += pace;
      }
      this.#head += pace;
    }
    // Between samples only while the pace is another one.
    if (pace === 1 && this.#head !== null) this.#head = Math.round(this.#head);
  }

  #put(n: number, left: number, right: number): void {
    const slot = ((n % this.#size) + this.#size) % this.#size;
    this.#held[0][slot] = left;
    this.#held[1][slot] = right;
  }

  #has(at: number): boolean {
    return at >= this.#from && at < this.#end - 1;
  }

  #at(channel: 0 | 1, at: number): number {
    if (!this.#has(at)) return 0;
    const before = Math.floor(at);
    const held = this.#held[channel];
    const one = held[before % this.#size] ?? 0;
    if (before === at) return one;
    const next = held[(before + 1) % this.#size] ?? 0;
    return one + (next - one) * (at - before);
  }
}
