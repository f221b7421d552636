// Starts the page or the window.
import { mount } from "svelte";
import App from "./App.svelte";
import { openHost } from "./host/host";
import { startRouter } from "./router.svelte";
import "./styles/tokens.css";
import "./styles/base.css";

const target = document.getElementById("app");
if (target) {
  const host = await openHost();
  void host.directory.clock.start();
  startRouter();
  mount(App, { target, props: { host } });
}
