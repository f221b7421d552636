// Numbers chunks. Pictures lead: each of their key frames opens a segment; sound is cut where pictures are, so that a viewer
// that joins at a picture's key frame finds sound from the same moment.

/** What goes into a chunk's header. */
export interface Place {
  key: boolean;
  segment: number;
  chunk: number;
}

export class Segments {
  #segment = -1;
  #videoChunk = 0;
  #soundSegment = -1;
  #soundChunk = 0;

  /** The place of the next picture, or none for one that nobody could decode: before the first key frame. */
  video(key: boolean): Place | undefined {
    if (key) {
      this.#segment += 1;
      this.#videoChunk = 0;
    }
    if (this.#segment < 0) return undefined;
    return { key, segment: this.#segment, chunk: this.#videoChunk++ };
  }

  /** The place of the next sound packet, or none before the first picture. */
  sound(): Place | undefined {
    if (this.#segment < 0) return undefined;
    const key = this.#soundSegment !== this.#segment;
    if (key) {
      this.#soundSegment = this.#segment;
      this.#soundChunk = 0;
    }
    return { key, segment: this.#soundSegment, chunk: this.#soundChunk++ };
  }
}
