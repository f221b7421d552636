// A viewer's own network goes and comes back, and the directory forgets what it knew: the page says what is the matter, and goes on.
import { expect, goesOn, plays, test } from "../../src/fixtures.ts";
import { listen } from "../../src/standstill.ts";
import { System } from "../../src/system.ts";
import { TcpProxy } from "../../src/tcp_proxy.ts";
import { mark } from "../../src/watching.ts";

/** Words are there before anybody wonders. */
const WORDS_TIME_MAX_MS = 2500;
/** How long after the network is back a page may take to try: pauses of that time are up to three seconds. */
const TRY_TIME_MAX_MS = 900;

async function proxied(): Promise<{ system: System; proxy: TcpProxy }> {
  const proxies: TcpProxy[] = [];
  const publicPort = async (_name: string, port: number) => {
    const proxy = await TcpProxy.before(port);
    proxies.push(proxy);
    return proxy.port;
  };
  const system = await System.start({ relays: 1, publicPort });
  return { system, proxy: proxies[0] as TcpProxy };
}

test("a viewer without a network is told so, and watches on as soon as it is back", async ({ newBrowser }) => {
  const { system, proxy } = await proxied();
  try {
    const { link } = await system.broadcast(["--source", "test", "--title", "Out of reach"]);
    const context = await (await newBrowser()).newContext();
    const viewer = await context.newPage();
    await viewer.goto(link);
    await plays(viewer);
    await goesOn(viewer, 60);
    const same = await mark(viewer);
    const states = await listen(viewer);

    await context.setOffline(true);
    proxy.blackHole(true);
    await viewer.locator('live-player[data-state="offline"]').waitFor({ timeout: WORDS_TIME_MAX_MS });
    await expect(viewer.getByText("This device is offline")).toBeVisible();
    // Long enough for pauses between attempts to have grown.
    proxy.cut();
    proxy.refuse(true);
    await viewer.waitForTimeout(9000);
    expect(await viewer.locator("live-player").getAttribute("data-state")).toBe("offline");

    proxy.blackHole(false);
    proxy.refuse(false);
    await proxy.tally();
    const tried = viewer.waitForEvent("websocket");
    const back = Date.now();
    await context.setOffline(false);
    await tried;
    expect(Date.now() - back).toBeLessThan(TRY_TIME_MAX_MS);
    await plays(viewer, 10_000);
    await goesOn(viewer);
    expect(await states()).not.toContain("failed");
    expect(await same()).toBe(true);
  } finally {
    await system.stop();
    await proxy.close();
  }
});

test("a picture that comes all the same is not called offline", async ({ newBrowser }) => {
  const { system, proxy } = await proxied();
  try {
    const { link } = await system.broadcast(["--source", "test", "--title", "Within reach"]);
    const context = await (await newBrowser()).newContext();
    const viewer = await context.newPage();
    await viewer.goto(link);
    await plays(viewer);
    const states = await listen(viewer);
    // A machine that is told of no network but its own.
    await viewer.evaluate(() => {
      Object.defineProperty(navigator, "onLine", { value: false });
      dispatchEvent(new Event("offline"));
    });
    await goesOn(viewer, 90);
    expect(await states()).not.toContain("offline");
  } finally {
    await system.stop();
    await proxy.close();
  }
});

test("a directory that starts again with an empty disk ends nothing that plays", async ({ newPage }) => {
  const { system, proxy } = await proxied();
  try {
    const { link } = await system.broadcast(["--source", "test", "--title", "Remembered"]);
    const viewer = await newPage();
    await viewer.goto(link);
    await plays(viewer);
    await goesOn(viewer, 60);
    const same = await mark(viewer);
    const states = await listen(viewer);

    // Asked before anybody has told it: as it answers for a moment after such a start.
    const unknown = { code: "stream_not_found", message: "There is no such stream." };
    await viewer.route("**/watch", (route) => route.fulfill({ status: 404, json: unknown }));
    const asked = viewer.waitForResponse(/\/watch$/);
    proxy.cut();
    proxy.refuse(true);
    await asked;
    proxy.refuse(false);
    await plays(viewer);
    await goesOn(viewer, 60);
    await viewer.unroute("**/watch");

    await system.restartDirectory({ forgetting: true });
    proxy.cut();
    await plays(viewer);
    await goesOn(viewer, 60);
    expect(await states()).not.toContain("ended");
    expect(await states()).not.toContain("failed");
    expect(await same()).toBe(true);
    // It has been told of it meanwhile: others find it, too.
    const newcomer = await newPage();
    await newcomer.goto(link);
    await plays(newcomer);
  } finally {
    await system.stop();
    await proxy.close();
  }
});
