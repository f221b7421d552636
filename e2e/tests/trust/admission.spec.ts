// Who gets in: passwords of streams, passes of broadcasters, and viewers who are sent away.
import type { Page } from "@playwright/test";
import { coloursOn, expect, goesOn, plays, tamperedOn, test, withoutWebTransport } from "../../src/fixtures.ts";
import { System } from "../../src/system.ts";

const PASSWORD = "lamp river 7";

test("a stream with a password asks for it and plays; the tab remembers it, the list never shows it", async ({
  goLive,
  newPage,
  system,
}) => {
  const { link } = await goLive("Behind a password", { password: PASSWORD });
  const viewer = await newPage();
  await viewer.goto(link);
  await viewer.getByTestId("stream-password").fill("guess");
  await viewer.getByTestId("give-password").click();
  await expect(viewer.locator("live-player")).toContainText("That is not the password");
  expect(await viewer.content()).not.toContain("Behind a password");
  await viewer.getByTestId("stream-password").fill(PASSWORD);
  await viewer.keyboard.press("Enter");
  await plays(viewer);
  await expect(viewer.getByTestId("stream-title")).toHaveText("Behind a password");
  await viewer.reload();
  await plays(viewer);
  const list = await newPage();
  await list.goto(`${system.url}/view`);
  await list.getByTestId("empty-list").waitFor();
  await expect(list.getByTestId("stream-card")).toHaveCount(0);
});

test("guessing a password is slowed down, in words", async ({ system, newPage }) => {
  const flags = ["--source", "test", "--title", "Guess", "--visibility", "password"];
  const { link } = await system.broadcast(flags, { STREAM_PASSWORD: PASSWORD });
  const viewer = await newPage();
  await viewer.goto(link);
  for (let guess = 0; guess < 6; guess++) {
    await viewer.getByTestId("stream-password").fill(`guess ${guess}`);
    await viewer.getByTestId("give-password").click();
    await viewer.locator('live-player[data-state="needs_password"]').waitFor();
  }
  await expect(viewer.locator("live-player")).toContainText(/The next is possible in \d+ seconds/);
  await expect(viewer.getByTestId("give-password")).toBeDisabled();
});

test("a viewer who is removed is told within two seconds and stays out; others go on", async ({ goLive, newPage }) => {
  const { page, link } = await goLive("Somebody goes");
  const unwanted = await newPage();
  await withoutWebTransport(unwanted);
  const told = new Promise<number>((resolve) => {
    unwanted.on("websocket", (socket) => {
      socket.on("framereceived", ({ payload }) => {
        if (typeof payload === "string" && payload.includes("viewer_removed")) resolve(Date.now());
      });
    });
  });
  await unwanted.goto(link);
  await plays(unwanted);
  const member = page.getByTestId("audience-member");
  await expect(member).toHaveCount(1);
  const viewerId = await member.getAttribute("data-viewer");
  const other = await newPage();
  await other.goto(link);
  await plays(other);
  await expect(member).toHaveCount(2);

  await page.locator(`[data-viewer="${viewerId}"]`).getByTestId("remove-viewer").click();
  await expect(page.getByTestId("dialog")).toContainText("same network address");
  const removed = page.waitForResponse((answer) => answer.request().method() === "DELETE").then(() => Date.now());
  await page.getByTestId("confirm-remove").click();
  const [removedAt, toldAt] = await Promise.all([removed, told]);
  console.log(`told ${toldAt - removedAt} ms after the directory's answer`);
  expect(toldAt - removedAt).toBeLessThan(2_000);
  await expect(unwanted.getByTestId("curtain")).toContainText("has removed you");
  await expect(member).toHaveCount(1);
  await goesOn(other, 60);
  await unwanted.reload();
  await expect(unwanted.getByTestId("curtain")).toContainText("has removed you");
  await expect(unwanted.getByTestId("retry")).toHaveCount(0);
  expect(await coloursOn(unwanted)).toBeLessThan(3);
});

test("where passes are asked for, the page asks, keeps a good one, and is told when it is revoked", async ({
  livePage,
}) => {
  const system = await System.start({ relays: 1, directoryFlags: ["--broadcast", "passes"] });
  try {
    const page = await livePage(system);
    await page.getByTestId("title").fill("With a pass");
    await page.getByTestId("go-live").click();
    await expect(page.getByTestId("pass-words")).toContainText("Ask the person who runs this server");
    await page.getByTestId("pass").fill(`dsp_${"x".repeat(32)}`);
    await page.getByTestId("go-live").click();
    await expect(page.getByTestId("pass-words")).toContainText("does not take that pass");
    const pass = await system.operator("pass", "add", "anna");
    await page.getByTestId("pass").fill(pass);
    await page.getByTestId("go-live").click();
    await page.locator('[data-testid="state"][data-state="live"]').waitFor();
    await page.getByTestId("stop").click();
    await page.getByTestId("go-again").click();
    await expect(page.getByTestId("pass-words")).toContainText("kept on this computer");
    await expect(page.getByTestId("pass")).toHaveValue("");
    await page.getByTestId("title").fill("Once more");
    await page.getByTestId("go-live").click();
    await page.locator('[data-testid="state"][data-state="live"]').waitFor();
    await system.operator("pass", "revoke", "anna");
    await expect(page.getByTestId("over")).toContainText("cut off");
    await expect(page.getByTestId("state")).toContainText(/pass/i);
  } finally {
    await system.stop();
  }
});

test("tickets are renewed over the open sockets of broadcaster and viewer", async ({ livePage, newPage, system }) => {
  const said = (page: Page) => {
    const types: string[] = [];
    page.on("websocket", (socket) => {
      socket.on("framesent", ({ payload }) => {
        if (typeof payload === "string") types.push(JSON.parse(payload).type);
      });
    });
    return types;
  };
  // The directory hands a broadcaster a fresh ticket whenever it begins to listen; here that takes it a few tries.
  const page = await livePage(system);
  await withoutWebTransport(page);
  const saidHere = said(page);
  let refusals = 4;
  await page.route("**/orders", async (route) => {
    refusals -= 1;
    if (refusals >= 0) await route.abort();
    else await route.continue();
  });
  await page.getByTestId("title").fill("Renewed");
  await page.getByTestId("go-live").click();
  await expect.poll(() => saidHere).toContain("renew_ticket");
  await expect(page.getByTestId("state")).toHaveAttribute("data-state", "live");

  // A viewer asks when nothing comes although its relay lives, and tells the relay the ticket that it gets.
  const { program, link } = await system.broadcast(["--source", "test", "--title", "Silent for a moment"]);
  const viewer = await newPage();
  await withoutWebTransport(viewer);
  const saidThere = said(viewer);
  await viewer.goto(link);
  await plays(viewer);
  program.signal("SIGSTOP");
  try {
    await expect.poll(() => saidThere, { timeout: 7_500 }).toEqual(["watch_stream", "renew_ticket"]);
  } finally {
    program.signal("SIGCONT");
  }
  await plays(viewer);
  await goesOn(viewer);
  expect(await viewer.evaluate(() => document.querySelector("live-player")?.stats.reconnects)).toBe(0);
  expect(saidThere).toEqual(["watch_stream", "renew_ticket"]);
  await expect(page.getByTestId("state")).toHaveAttribute("data-state", "live");
});

test("a relay that is revoked loses its encrypted stream to another, and everybody goes on there", async ({
  goLive,
  newPage,
  system,
}) => {
  const { page, link } = await goLive("Moves", { encrypted: true });
  const viewer = await newPage();
  await viewer.goto(link);
  await plays(viewer);
  await viewer.evaluate(() => Object.assign(window, { sameDocument: true }));
  const relay = await page.getByTestId("relay").innerText();
  const revokedAt = Date.now();
  await system.operator("relay-revoke", relay);
  await expect(page.getByTestId("relay")).not.toHaveText(new RegExp(`${relay}|–`), { timeout: 5_000 });
  console.log(`at another relay after ${Date.now() - revokedAt} ms`);
  await page.locator('[data-testid="state"][data-state="live"]').waitFor();
  await plays(viewer);
  await goesOn(viewer, 60);
  expect(await viewer.evaluate(() => "sameDocument" in window)).toBe(true);
  expect(await tamperedOn(viewer)).toBe(0);
});

test("a stream that its operator ends is over for its broadcaster, in words", async ({ goLive, system }) => {
  const { page, link } = await goLive("Ended from above");
  await system.operator("end", new URL(link).pathname.split("/").pop() ?? "");
  await expect(page.getByTestId("over")).toContainText("cut off");
});

test("a title that looks like a page is shown as text everywhere", async ({ goLive, newPage, system }) => {
  const title = `<img src=x onerror="window.hacked=1"><b>bold</b>`;
  const { page, link } = await goLive(title);
  const viewer = await newPage();
  await viewer.goto(link);
  await plays(viewer);
  await expect(viewer.getByTestId("stream-title")).toHaveText(title);
  expect(await viewer.title()).toContain(title);
  const list = await newPage();
  await list.goto(`${system.url}/view`);
  await expect(list.getByTestId("stream-card").getByRole("heading")).toHaveText(title);
  await list.goto(`${system.url}/`);
  await expect(list.getByTestId("stream-card").getByRole("heading")).toHaveText(title);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(title);
  for (const each of [page, viewer, list]) {
    expect(await each.evaluate(() => "hacked" in window)).toBe(false);
    await expect(each.locator("img")).toHaveCount(0);
  }
});
