// Relays whose network a test can spoil.
import { test } from "./fixtures.ts";
import { TcpProxy } from "./tcp_proxy.ts";

/** The tests of this file, or of this group, have so many relays, each behind a proxy; gives the proxies of the test that runs. */
export function relaysBehindProxies(relays: number): readonly TcpProxy[] {
  const proxies: TcpProxy[] = [];
  const publicPort = async (_name: string, port: number) => {
    const proxy = await TcpProxy.before(port);
    proxies.push(proxy);
    return proxy.port;
  };
  test.use({ systemOptions: { relays, publicPort } });
  test.afterEach(async () => {
    for (const proxy of proxies.splice(0)) await proxy.close();
  });
  return proxies;
}
