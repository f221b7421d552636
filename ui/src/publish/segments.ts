// Numbers chunks. Pictures lead: a captured frame that all encoders are asked to make a key frame of opens a segment, with the same
// number on each track of pictures; sound is cut where pictures are, so that a viewer that joins at a picture's key frame finds
// sound from the same moment.

/** What goes into a chunk's header. */
export interface Place {
  key: boolean;
  segment: number;
  chunk: number;
}

/** Cuts that encoders may still have before them: a few seconds' worth. */
const CUTS_MAX = 16;

interface Counter {
  segment: number;
  chunk: number;
}

export class Segments {
  #cuts: { timeUs: number; segment: number }[] = [];
  #next = 0;
  #pictures = new Map<number, Counter>();
  #sound: Counter | undefined;

  /** The frame of `timeUs` goes to the encoders as a key frame: what comes of it opens a segment. */
  cut(timeUs: number): void {
    this.#cuts.push({ timeUs, segment: this.#next });
    this.#next += 1;
    if (this.#cuts.length > CUTS_MAX) this.#cuts.shift();
  }

  /** The place of a track's next picture, or none for one that nobody could decode: before the first key frame. */
  picture(track: number, timeUs: number, key: boolean): Place | undefined {
    const before = this.#pictures.get(track);
    // An encoder that left the frame out makes the next one a key frame; one that nobody asked for opens nothing.
    const cut = key ? this.#cuts.findLast((each) => each.timeUs <= timeUs) : undefined;
    if (cut && cut.segment > (before?.segment ?? -1)) {
      this.#pictures.set(track, { segment: cut.segment, chunk: 1 });
      return { key: true, segment: cut.segment, chunk: 0 };
    }
    if (!before) return undefined;
    return { key: false, segment: before.segment, chunk: before.chunk++ };
  }

  /** The place of the next sound packet, or none before the first picture. */
  sound(): Place | undefined {
    const newest = Math.max(-1, ...[...this.#pictures.values()].map(({ segment }) => segment));
    if (newest < 0) return undefined;
    if (this.#sound?.segment !== newest) {
      this.#sound = { segment: newest, chunk: 1 };
      return { key: true, segment: newest, chunk: 0 };
    }
    return { key: false, segment: newest, chunk: this.#sound.chunk++ };
  }
}
