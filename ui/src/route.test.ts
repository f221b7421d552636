import { expect, it } from "vitest";
import { pastedStream, routeOf } from "./route";

const ID = "a3aca7d499d2a4e80d6338a04dfc936f";

it.each([
  ["/", "home"],
  ["/index.html", "home"],
  ["/view", "browse"],
  ["/view/", "browse"],
  ["/live", "live"],
  ["/live/", "live"],
  ["/live/now", "not_found"],
  ["/view/123", "not_found"],
  [`/view/${ID}/x`, "not_found"],
  ["/nothing", "not_found"],
])("%s is %s", (path, page) => {
  expect(routeOf(path).page).toBe(page);
});

it("knows a stream by its id, also in capitals", () => {
  expect(routeOf(`/view/${ID}`)).toEqual({ page: "watch", id: ID });
  expect(routeOf(`/view/${ID.toUpperCase()}/`)).toEqual({ page: "watch", id: ID });
});

it.each([`http://10.0.0.2:5000/view/${ID}`, `/view/${ID}?a=b`, ` ${ID} `, `x.org/view/${ID.toUpperCase()}/`])(
  "opens the pasted %j",
  (text) => {
    expect(pastedStream(text)).toBe(`/view/${ID}`);
  },
);

it.each(["", "hello", `${ID}0`, "http://x/view/123"])("does not take %j for a stream", (text) => {
  expect(pastedStream(text)).toBeUndefined();
});

it("keeps the key of a pasted link, and nothing else behind it", () => {
  const key = "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8";
  expect(pastedStream(` https://live.example/view/${ID}?a=1#k=${key} `)).toBe(`/view/${ID}#k=${key}`);
  expect(pastedStream(`/view/${ID}#k=${key.slice(1)}`)).toBe(`/view/${ID}`);
  expect(pastedStream(`/view/${ID}#<img src=x onerror=alert(1)>`)).toBe(`/view/${ID}`);
});
