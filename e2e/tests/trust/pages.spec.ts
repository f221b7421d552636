// The pages keep to the directory's content security policy, which lets no inline script or style pass, whatever they show.
import type { Page } from "@playwright/test";
import { expect, plays, test } from "../../src/fixtures.ts";

/** Keeps what the policy refuses on a page. */
async function refusals(page: Page): Promise<string[]> {
  const refused: string[] = [];
  await page.exposeFunction("refused", (what: string) => refused.push(what));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sourceFile }) => {
      const tell = Reflect.get(window, "refused") as (what: string) => void;
      tell(`${violatedDirective} ${blockedURI} ${sourceFile}`);
    });
  });
  return refused;
}

test("broadcasting, watching and looking around need no inline script or style", async ({
  livePage,
  newPage,
  system,
}) => {
  const page = await livePage(system);
  const refusedHere = await refusals(page);
  await page.reload();
  await page.getByTestId("title").fill("Strict");
  await page.getByTestId("sealed").check();
  await page.getByTestId("go-live").click();
  await page.locator('[data-testid="state"][data-state="live"]').waitFor({ timeout: 30_000 });
  const viewer = await newPage();
  const refusedThere = await refusals(viewer);
  const answer = await viewer.goto(`${system.url}/`);
  expect(answer?.headers()["content-security-policy"]).not.toContain("unsafe");
  await viewer.getByTestId("stream-card").waitFor();
  await viewer.goto(await page.getByTestId("watch-link").inputValue());
  await plays(viewer);
  await viewer.getByTestId("stats").click();
  await viewer.goto(`${system.url}/nothing/here`);
  await viewer.getByTestId("not-found").waitFor();
  expect([...refusedHere, ...refusedThere]).toEqual([]);
  // The policy is in force: what it forbids is refused, and told.
  await viewer.evaluate(() => document.body.insertAdjacentHTML("beforeend", `<p style="color: red">styled</p>`));
  await expect.poll(() => refusedThere.length).toBe(1);
});
