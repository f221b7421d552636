import { expect, it } from "vitest";
import vectors from "../../../protocol/vectors/sealed_media.json";
import { keyBytes, keyFragment, keyOfFragment, newContentKey } from "./content_key";

it("goes through a link and comes back", () => {
  const key = newContentKey();
  expect(keyOfFragment(keyFragment(key))).toBe(key);
  expect(keyBytes(key).length).toBe(32);
  expect(newContentKey()).not.toBe(key);
  expect(Buffer.from(keyBytes(vectors.content_key)).toString("hex")).toBe(vectors.content_key_hex);
});

it("takes only whole keys", () => {
  const key = newContentKey();
  for (const fragment of [
    "",
    "#",
    "#content",
    `#k=${key.slice(1)}`,
    `#k=${key}x`,
    `#key=${key}`,
    `#k=${"!".repeat(43)}`,
  ]) {
    expect(keyOfFragment(fragment), fragment).toBeNull();
  }
  expect(keyOfFragment(`#later=1&k=${key}`)).toBe(key);
  expect(keyFragment(null)).toBe("");
});
