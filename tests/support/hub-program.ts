import { openPersistence } from "../../broker/persistence/persistence.ts";
import { startHub } from "../../broker/start-hub.ts";
import type { Profile } from "../../lib/contracts/directory.ts";
import { Store } from "../../lib/storage/store/store.ts";
import { fixedAuthenticator, principal } from "./principals.ts";
import { SILENT } from "./silent.ts";

/* A hub in a process of its own, to be killed: its folder and users are the two arguments, its URL is told over the channel. */

const [folder = "", users = "{}"] = process.argv.slice(2);
const principals = Object.entries(JSON.parse(users) as Record<string, Profile>).map(([name, profile]) =>
  principal(name, profile),
);
const store = await Store.openFolder(folder);
const persistence = await openPersistence({ store });
const authenticator = fixedAuthenticator(principals);
const hub = await startHub({ host: "127.0.0.1", port: 0, authenticator, persistence, log: SILENT });
process.send?.({ url: hub.url });
