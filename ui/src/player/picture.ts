// The pictures of a stream: the same in several sizes, of which a viewer gets one. Pure.

import type { TrackInfo } from "../protocol/messages";

/** What a person has chosen: the size that the connection bears, or always the one of about this height in pixels. */
export type PictureChoice = "automatic" | { height: number };

export const AUTOMATIC: PictureChoice = "automatic";

/** The pictures that can be played, the largest first. */
export function picturesOf(tracks: readonly TrackInfo[], playable: (track: TrackInfo) => boolean): TrackInfo[] {
  const pictures = tracks.filter((track) => track.kind === "video" && playable(track));
  return pictures.sort((a, b) => b.width * b.height - a.width * a.height);
}

/** The picture whose height is the nearest by proportion: streams differ, and half a picture is as far off as twice one. */
export function nearestTo(height: number, pictures: readonly TrackInfo[]): TrackInfo | null {
  let nearest: TrackInfo | null = null;
  for (const picture of pictures) {
    if (nearest === null || farFrom(height, picture) < farFrom(height, nearest)) nearest = picture;
  }
  return nearest;
}

function farFrom(height: number, picture: TrackInfo): number {
  return Math.abs(Math.log(Math.max(1, picture.height) / Math.max(1, height)));
}
