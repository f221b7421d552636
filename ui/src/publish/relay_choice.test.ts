import { describe, expect, it } from "vitest";
import type { Assignment } from "../protocol/generated/Assignment";
import { RelayChoice } from "./relay_choice";

const assignment = (...names: string[]): Assignment => ({
  relays: names.map((name) => ({ name, url: `ws://${name}/ws` })),
  ticket: `for ${names.join(" ")}`,
  epoch: 1,
});

function asked(choice: RelayChoice): string {
  const next = choice.next();
  if (next.do === "connect") return next.relay.name;
  return next.do === "ask" ? `ask after ${next.failed}` : next.reason;
}

describe("relay choice", () => {
  it("begins with the best relay, at once", () => {
    const choice = new RelayChoice(assignment("a", "b"));
    expect([asked(choice), choice.waitMs(0.5)]).toEqual(["a", 0]);
  });

  it("goes through the relays, then asks the directory", () => {
    const choice = new RelayChoice(assignment("a", "b"));
    choice.closed({ worked: false });
    expect(asked(choice)).toBe("b");
    choice.closed({ worked: false });
    expect([asked(choice), choice.waitMs(0.5)]).toEqual(["ask after a", 0]);
    choice.assigned(assignment("c"));
    expect(asked(choice)).toBe("c");
  });

  it("goes once through the others at once when the one that worked fails, and tells the directory which it was", () => {
    const choice = new RelayChoice(assignment("a", "b", "c"));
    choice.closed({ worked: false });
    choice.worked();
    choice.closed({ worked: true });
    expect([asked(choice), choice.waitMs(0.5)]).toEqual(["c", 0]);
    choice.closed({ worked: false });
    expect([asked(choice), choice.waitMs(0.5)]).toEqual(["a", 0]);
    choice.closed({ worked: false });
    expect([asked(choice), choice.waitMs(0.5)]).toEqual(["ask after b", 0]);
  });

  it("tries the same relay once more where there is no other", () => {
    const choice = new RelayChoice(assignment("a"));
    choice.worked();
    choice.closed({ worked: true });
    expect([asked(choice), choice.waitMs(0.5)]).toEqual(["a", 0]);
    choice.closed({ worked: false });
    expect(asked(choice)).toBe("ask after a");
  });

  it("waits before relays that the directory has named again, until media arrives", () => {
    const choice = new RelayChoice(assignment("a"));
    choice.closed({ worked: false });
    choice.assigned(assignment("a", "b"));
    choice.closed({ worked: false });
    expect([asked(choice), choice.waitMs(0.5)]).toEqual(["b", 250]);
    choice.worked();
    expect(choice.waitMs(0.5)).toBe(0);
  });

  it("knows which others may take the stream while a relay is silent, and where it has gone", () => {
    const choice = new RelayChoice(assignment("a", "b", "c"));
    choice.isAt("b");
    expect(choice.others.map(({ name }) => name)).toEqual(["c", "a"]);
    expect(asked(choice)).toBe("b");
  });

  it("keeps the newest record", () => {
    const choice = new RelayChoice({ ...assignment("a"), record: "first" });
    choice.ordered(assignment("a"));
    expect(choice.record).toBe("first");
    choice.ordered({ ...assignment("a"), record: "second" });
    expect(choice.record).toBe("second");
  });

  it("waits longer with each failure, within bounds, and spread", () => {
    const choice = new RelayChoice(assignment("a"));
    const waits = Array.from({ length: 8 }, () => {
      choice.refused("unreachable");
      return choice.waitMs(0.5);
    });
    expect(waits).toEqual([250, 500, 1000, 2000, 4000, 4000, 4000, 4000]);
    expect([choice.waitMs(0), choice.waitMs(1)]).toEqual([3000, 5000]);
  });

  it("asks for a new ticket when the old one is of no use", () => {
    for (const code of ["ticket_expired", "stale_epoch", "publisher_present"] as const) {
      const choice = new RelayChoice(assignment("a", "b"));
      choice.closed({ worked: false, code });
      expect(asked(choice)).toBe("ask after a");
    }
  });

  it("goes on with the relays it knows while the directory is away", () => {
    const choice = new RelayChoice(assignment("a"));
    choice.closed({ worked: false });
    choice.refused("unreachable");
    expect(asked(choice)).toBe("a");
  });

  it("ends when somebody else has taken the stream over, or it is closed", () => {
    const taken = new RelayChoice(assignment("a"));
    taken.closed({ worked: true, code: "superseded" });
    expect(asked(taken)).toContain("somewhere else");
    const closed = new RelayChoice(assignment("a"));
    closed.refused("stream_not_found");
    expect(asked(closed)).toContain("has been closed");
  });
});
