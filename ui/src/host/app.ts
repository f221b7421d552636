// The host of the desktop app's window. What a page may not do itself, or not as well, is done by the app's own process.
import { Directory } from "../directory/directory";
import type { Settings } from "../protocol/generated/Settings";
import { openFrom } from "../transport/page";
import { appBroadcaster } from "./app/broadcaster";
import { call } from "./app/call";
import { directoryFetch, openDirectoryEvents } from "./app/directory";
import { openNearest } from "./app/transport";
import type { Host } from "./host";

export async function appHost(): Promise<Host> {
  const settings = await call<Settings>("settings");
  const base = settings.directory.replace(/\/$/, "");
  return {
    kind: "app",
    directory: new Directory({ base, fetch: directoryFetch(base), openEvents: openDirectoryEvents }),
    openTransport: openFrom(openNearest),
    watchLink: (id) => `${base}/view/${id}`,
    copy: (text) => navigator.clipboard.writeText(text),
    broadcaster: appBroadcaster(),
    pass: {
      known: async () => (await call<Settings>("settings")).has_pass,
      keep: (pass) => call("set_pass", { pass }),
      text: () => "",
    },
    settings: {
      directory: async () => (await call<Settings>("settings")).directory.replace(/\/$/, ""),
      setDirectory: async (address) => {
        await call("set_directory", { address });
        location.assign("/");
      },
    },
  };
}
