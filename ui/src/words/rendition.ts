// Which of a stream's pictures is watched, as people say it.
import type { RenditionFacts } from "../player";

/** Why the picture is smaller than it could be. */
export const REDUCED =
  "Your connection is slow, so you get a smaller picture. It grows again by itself as soon as there is room.";

/** `Automatic, 1 of 2`; the largest is number 1. */
export function renditionInWords({ pictures, chosen, shown }: RenditionFacts): string {
  const place = pictures.findIndex(({ track }) => track === shown) + 1;
  return `${chosen === "automatic" ? "Automatic" : "By hand"}, ${place} of ${pictures.length}`;
}
