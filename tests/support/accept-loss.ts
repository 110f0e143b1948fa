import { randomBytes } from "node:crypto";
import { v7 as newId } from "uuid";
import type { BookName } from "../../lib/contracts/names.ts";
import { openLink } from "../../lib/messaging/link.ts";
import { createRequester } from "../../lib/messaging/request-client.ts";
import type { Plant } from "./plant.ts";
import { SILENT } from "./silent.ts";

/** Lets a book go on of which somebody has seen more than it has. @throws RastroError `not_behind` as long as that is not known. */
export async function acceptLoss(plant: Plant, book: BookName, text: string): Promise<void> {
  const { user, session, token } = await plant.signInLocal();
  const url = plant.settings.brokerUrl;
  const link = openLink({ url, name: user, password: () => token, log: SILENT, random: randomBytes });
  try {
    const asker = createRequester({ link, user, session, newId, now: Date.now });
    const reason = { code: "OTHER" as const, text };
    await asker.call("audit", "accept-loss", { event: newId(), book, reason });
  } finally {
    await link.close();
  }
}
