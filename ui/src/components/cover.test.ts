import { expect, it } from "vitest";
import { coverOf } from "./cover";

const ID = "a3aca7d499d2a4e80d6338a04dfc936f";

it("is the same for the same stream, and another for another", () => {
  expect(coverOf(ID)).toEqual(coverOf(ID));
  expect(coverOf(ID)).not.toEqual(coverOf(`b${ID.slice(1)}`));
});

it("keeps its middle inside the picture", () => {
  for (const id of [ID, "0".repeat(32), "f".repeat(32)]) {
    const { x, y } = coverOf(id);
    expect(x).toBeGreaterThan(0);
    expect(x).toBeLessThan(160);
    expect(y).toBeGreaterThan(0);
    expect(y).toBeLessThan(90);
  }
});
