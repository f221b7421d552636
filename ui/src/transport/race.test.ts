import { describe, expect, it } from "vitest";
import { Race, type RaceAction, type RaceEvent, type Way } from "./race";

/** What comes of these events, in words. */
function run(rivals: boolean, ...events: RaceEvent[]): string[] {
  const race = new Race(rivals);
  return events.flatMap((event) => race.tell(event)).map(words);
}
function words(action: RaceAction): string {
  if (action.do === "give_up") return "give up";
  if (action.do === "blame") return action.silent ? "blame: silent" : "blame: refused";
  return `${action.do} ${action.way}`;
}
const begun: RaceEvent = { type: "begun" };
const late: RaceEvent = { type: "head_start_over" };
const opened = (way: Way): RaceEvent => ({ type: "opened", way });
const failed = (way: Way): RaceEvent => ({ type: "failed", way });

describe("with WebTransport", () => {
  it("opens nothing else when that is open in time", () => {
    expect(run(true, begun, opened("webtransport"), late)).toEqual(["open webtransport", "take webtransport"]);
  });

  it("takes a WebSocket where it is silent, and blames it", () => {
    const course = run(true, begun, late, opened("websocket"), failed("webtransport"));
    expect(course).toEqual(["open webtransport", "open websocket", "blame: silent", "take websocket"]);
  });

  it("takes it where it is late, but not too late", () => {
    const course = run(true, begun, late, opened("webtransport"), opened("websocket"));
    expect(course).toEqual(["open webtransport", "open websocket", "take webtransport"]);
  });

  it("opens a WebSocket at once where it is refused, and blames it once that has shown that the relay is there", () => {
    const course = run(true, begun, failed("webtransport"), late, opened("websocket"));
    expect(course).toEqual(["open webtransport", "open websocket", "blame: refused", "take websocket"]);
  });

  it("blames nobody where the relay is gone", () => {
    const course = run(true, begun, late, failed("websocket"), failed("webtransport"));
    expect(course).toEqual(["open webtransport", "open websocket", "give up"]);
  });

  it("waits for it where a WebSocket has failed", () => {
    const course = run(true, begun, late, failed("websocket"), opened("webtransport"));
    expect(course).toEqual(["open webtransport", "open websocket", "take webtransport"]);
  });
});

it("without WebTransport there is a WebSocket, and nothing to blame", () => {
  expect(run(false, begun, late, opened("websocket"))).toEqual(["open websocket", "take websocket"]);
  expect(run(false, begun, failed("websocket"), late)).toEqual(["open websocket", "give up"]);
});
