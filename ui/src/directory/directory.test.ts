import { expect, it } from "vitest";
import { ApiFailure } from "../protocol/api_failure";
import { Directory } from "./directory";

interface Call {
  url: string;
  init: RequestInit;
}

function directory(answer: (call: Call) => Response | Promise<Response>): { directory: Directory; calls: Call[] } {
  const calls: Call[] = [];
  const fetch = (async (input: RequestInfo | URL, init: RequestInit = {}) => {
    const call = { url: String(input), init };
    calls.push(call);
    return answer(call);
  }) as typeof globalThis.fetch;
  const openEvents = () => {
    throw new Error("not here");
  };
  return { directory: new Directory({ base: "http://d:5000", fetch, openEvents }), calls };
}

const failed = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error) => (error instanceof ApiFailure ? error.code : error),
  );

it("creates a stream with JSON and no key", async () => {
  const { directory: d, calls } = directory(() => Response.json({ id: "x" }));
  await d.create({ title: "Demo", visibility: "unlisted", password: null, sealed: false });
  expect(calls[0]?.url).toBe("http://d:5000/api/streams");
  expect(calls[0]?.init).toMatchObject({
    method: "POST",
    body: '{"title":"Demo","visibility":"unlisted","password":null,"sealed":false}',
  });
  expect(calls[0]?.init.headers).toMatchObject({ "content-type": "application/json" });
});

it("proves itself with the broadcast key, and outlives the page when it ends a stream", async () => {
  const { directory: d, calls } = directory(() => new Response(null, { status: 204 }));
  await d.endStream("abc", "secret");
  expect(calls[0]?.init).toMatchObject({ method: "DELETE", keepalive: true });
  expect(calls[0]?.init.headers).toMatchObject({ authorization: "Bearer secret" });
});

it("names the relay that failed", async () => {
  const { directory: d, calls } = directory(() => Response.json({ relays: [] }));
  await d.assignment("abc", "secret", "relay-1");
  expect(calls[0]?.url).toBe("http://d:5000/api/streams/abc/assignment");
  expect(calls[0]?.init.body).toBe('{"failed":"relay-1"}');
});

it("tells as a viewer which relay failed, and nothing when none did", async () => {
  const { directory: d, calls } = directory(() => Response.json({}));
  await d.watch("abc", { ticket: "t" });
  await d.watch("abc", { ticket: "t", failed: "relay-1" });
  expect(calls.map(({ init }) => init.body)).toEqual([undefined, '{"password":null,"failed":"relay-1","region":null}']);
});

it("hands the directory's own codes on", async () => {
  const { directory: d } = directory(() => Response.json({ code: "no_relay", message: "none" }, { status: 503 }));
  expect(await failed(d.create({ title: "Demo", visibility: "public", password: null, sealed: false }))).toBe(
    "no_relay",
  );
});

it("calls everything else unreachable: no network, a proxy's page", async () => {
  const off = directory(() => Promise.reject(new TypeError("failed to fetch")));
  expect(await failed(off.directory.list())).toBe("unreachable");
  const proxy = directory(() => new Response("<h1>Bad gateway</h1>", { status: 502 }));
  expect(await failed(proxy.directory.watch("x"))).toBe("unreachable");
});
