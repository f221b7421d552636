// A whole evening with every kind of secret, logged as loudly as programs can be asked to in good faith: none of them is in a log.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { expect, plays, test } from "../../src/fixtures.ts";
import { System } from "../../src/system.ts";

const PASSWORD = "lamp-river-7-otter";

/** Keeps every ticket and key that a page is given or sends. */
function overhear(page: Page, secrets: Map<string, string>): void {
  page.on("response", async (response) => {
    if (!response.url().includes("/api/streams") || !/json/.test(response.headers()["content-type"] ?? "")) return;
    const body = await response.json().catch(() => ({}));
    if (body.broadcast_key) secrets.set("broadcast key", body.broadcast_key);
    if (body.assignment?.ticket) secrets.set(`ticket ${secrets.size}`, body.assignment.ticket);
  });
  page.on("websocket", (socket) => {
    socket.on("framesent", ({ payload }) => {
      const ticket = typeof payload === "string" ? JSON.parse(payload).ticket : undefined;
      if (ticket) secrets.set(`ticket in ${JSON.parse(String(payload)).type} ${secrets.size}`, ticket);
    });
  });
}

test("no secret of a full run is in any log", async ({ livePage, newPage }) => {
  const system = await System.start({ relays: 1, log: "debug", directoryFlags: ["--broadcast", "passes"] });
  const secrets = new Map<string, string>([
    ["join secret", system.joinSecret],
    ["password", PASSWORD],
  ]);
  try {
    await system.startRelay("relay-2", { joinTokens: true });
    secrets.set("join token", system.joinTokens[0] ?? "");
    for (const relay of ["relay-1", "relay-2"]) {
      const membership = await readFile(join(system.dataDir(relay), "membership"), "utf8");
      secrets.set(`membership of ${relay}`, membership.trim());
    }
    const operatorToken = await readFile(join(system.dataDir("directory"), "operator-token"), "utf8");
    secrets.set("operator token", operatorToken.trim());
    secrets.set("pass", await system.operator("pass", "add", "anna"));
    const guessedPass = `dsp_${"g".repeat(32)}`;
    secrets.set("wrong pass", guessedPass);

    const page = await livePage(system);
    overhear(page, secrets);
    await page.getByTestId("title").fill("An evening");
    await page.getByTestId("visibility-password").check();
    await page.getByTestId("new-password").fill(PASSWORD);
    await page.getByTestId("sealed").check();
    await page.getByTestId("pass").fill(guessedPass);
    await page.getByTestId("go-live").click();
    await expect(page.getByTestId("pass-words")).toContainText("does not take that pass");
    await page.getByTestId("pass").fill(secrets.get("pass") ?? "");
    await page.getByTestId("go-live").click();
    await page.locator('[data-testid="state"][data-state="live"]').waitFor({ timeout: 30_000 });
    const link = await page.getByTestId("watch-link").inputValue();
    secrets.set("content key", new URL(link).hash.slice("#k=".length));

    const viewer = await newPage();
    overhear(viewer, secrets);
    await viewer.goto(link);
    await viewer.getByTestId("stream-password").fill("wrong-guess-9");
    secrets.set("wrong password", "wrong-guess-9");
    await viewer.keyboard.press("Enter");
    await expect(viewer.locator("live-player")).toContainText("That is not the password");
    await viewer.getByTestId("stream-password").fill(PASSWORD);
    await viewer.keyboard.press("Enter");
    await plays(viewer);
    await page.getByTestId("remove-viewer").first().click();
    await page.getByTestId("confirm-remove").click();
    await viewer.getByTestId("curtain").waitFor();
    await page.getByTestId("stop").click();

    const env = { STREAM_PASSWORD: PASSWORD, BROADCAST_PASS: secrets.get("pass"), RUST_LOG: "debug" };
    const flags = ["--source", "test", "--title", "From the command", "--visibility", "password", "--encrypt"];
    const { program, link: printed } = await system.broadcast(flags, env);
    secrets.set("content key of the command", new URL(printed).hash.slice("#k=".length));
    await program.end("SIGINT");
    await system.operator("relay-revoke", "relay-2");
    await system.relays[1]?.program.line(/revoked/i);

    // The command prints its link for the person who started it; that line is no log.
    const logs = system.output.replace(printed, "");
    for (const { program } of [system.directory, ...system.relays]) expect(program.output).toContain('"DEBUG"');
    // What is no secret is found, so that what is one would be.
    expect(logs).toContain(new URL(link).pathname.split("/").pop());
    expect(secrets.size).toBeGreaterThan(14);
    for (const [name, secret] of secrets) {
      expect(secret.length, name).toBeGreaterThan(8);
      expect(logs.includes(secret), `${name} is in a log:\n${around(logs, secret)}`).toBe(false);
      expect(logs.includes(Buffer.from(secret).toString("base64").slice(0, 24)), `${name} is in a log, encoded`).toBe(
        false,
      );
    }
    // Whatever else was made of the kind.
    expect(logs.match(/eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}/)?.[0]).toBeUndefined();
    expect(logs.match(/dsp_[\w-]{8,}/)?.[0]).toBeUndefined();
  } finally {
    await system.stop();
  }
});

function around(text: string, part: string): string {
  const at = text.indexOf(part);
  return at < 0 ? "" : text.slice(Math.max(0, at - 200), at);
}
