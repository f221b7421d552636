import { expect, it } from "vitest";
import { RelayRound } from "./relay_round";

const relays = (...names: string[]) => names.map((name) => ({ name, url: `ws://${name}/ws` }));
const names = (round: RelayRound) => round.left.map(({ name }) => name);

it("tries each relay once, best first", () => {
  const round = new RelayRound(relays("a", "b", "c"));
  round.tries("a");
  expect(names(round)).toEqual(["b", "c"]);
  round.tries("c");
  round.tries("b");
  expect(names(round)).toEqual([]);
});

it("begins anew behind a relay that served well, without it", () => {
  const round = new RelayRound(relays("a", "b", "c"));
  round.tries("a");
  round.tries("b");
  round.served("b");
  expect(names(round)).toEqual(["c", "a"]);
});

it("knows what others there are beside a relay", () => {
  const round = new RelayRound(relays("a", "b", "c"));
  round.tries("c");
  expect(round.othersThan("b").map(({ name }) => name)).toEqual(["c", "a"]);
  expect(round.othersThan("elsewhere").map(({ name }) => name)).toEqual(["a", "b", "c"]);
});

it("goes by the newest list, and does not try again what has failed", () => {
  const round = new RelayRound(relays("a", "b"));
  round.tries("a");
  round.renewed(relays("c", "a"));
  expect([names(round), round.known(relays("b", "c"))]).toEqual([["c"], relays("c")]);
});

it("knows relays by the directory's addresses alone", () => {
  const round = new RelayRound(relays("a", "b"));
  const wanted = [{ name: "b", url: "ws://somewhere-else/ws" }, ...relays("c")];
  expect(round.known(wanted)).toEqual(relays("b"));
});
