import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

// `npm run dev` serves the pages with hot reload and passes the directory's calls on to a running one.
const directory = process.env.DIRECTORY_URL ?? "http://127.0.0.1:5000";

export default defineConfig({
  plugins: [svelte()],
  build: { target: "es2022", chunkSizeWarningLimit: 300 },
  server: { proxy: { "/api": directory } },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
