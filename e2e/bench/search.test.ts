// node --import tsx --test bench/*.test.ts
import assert from "node:assert/strict";
import { test } from "node:test";
import { deal } from "./cpu_share.ts";
import { Search, type SearchOptions } from "./search.ts";

function tries(limit: number, options: SearchOptions): { tried: number[]; best: number } {
  const search = new Search(options);
  const tried: number[] = [];
  for (let next = search.next; next !== null; next = search.next) {
    tried.push(next);
    assert.ok(tried.length < 50, "a search ends");
    search.tell(next <= limit);
  }
  return { tried, best: search.best };
}

const OPTIONS = { first: 1000, growth: 1.5, precision: 1.1, max: 20_000, triesMax: 30 };

test("the most that is good is found from below, as exactly as is asked for", () => {
  const { tried, best } = tries(4000, OPTIONS);
  assert.deepEqual(tried.slice(0, 5), [1000, 1500, 2250, 3375, 5063]);
  assert.ok(best <= 4000 && best >= 4000 / OPTIONS.precision, String(best));
});

test("a first try that is too much is followed by less", () => {
  const { tried, best } = tries(300, OPTIONS);
  assert.deepEqual(tried.slice(0, 4), [1000, 666, 444, 296]);
  assert.ok(best <= 300 && best >= 300 / OPTIONS.precision, String(best));
});

test("nothing is good: the search ends with none", () => assert.equal(tries(0, OPTIONS).best, 0));

test("no more is tried than there may be", () => {
  assert.deepEqual(tries(1e9, { ...OPTIONS, max: 2000 }), { tried: [1000, 1500, 2000], best: 2000 });
});

test("a search ends after as many tries as it may have, with the best of them", () => {
  assert.deepEqual(tries(4000, { ...OPTIONS, triesMax: 3 }), { tried: [1000, 1500, 2250], best: 2250 });
});

test("threads of one kind are dealt out evenly, whatever other threads there are", () => {
  const threads = ["relay", "worker", "clock", "worker", "worker", "worker"].map((kind, id) => ({ kind, id }));
  const cores = [...deal(threads, [0, 1])].map(([{ id, kind }, core]) => `${id} ${kind} ${core}`);
  assert.deepEqual(cores, ["0 relay 0", "1 worker 0", "2 clock 0", "3 worker 1", "4 worker 0", "5 worker 1"]);
});
