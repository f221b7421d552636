import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: "tests",
  // One at a time: each test encodes and decodes video, and two cores are all there may be.
  workers: 1,
  fullyParallel: false,
  // No retries: a test that fails now and then shows a defect.
  retries: 0,
  timeout: 120_000,
  expect: { timeout: 15_000 },
  forbidOnly: !!process.env.CI,
  reporter: [["list"]],
  use: { viewport: { width: 1280, height: 720 }, trace: "retain-on-failure" },
});
