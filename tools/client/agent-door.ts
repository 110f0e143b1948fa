import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { Problem, RastroError } from "../../lib/contracts/errors.ts";
import { Receipt } from "../../lib/contracts/events.ts";
import { parseJson } from "../../lib/contracts/parse.ts";
import type { EntryFields } from "../../lib/contracts/production.ts";
import { foldersOf } from "../../lib/runtime/folders.ts";
import { readRunFile } from "../../lib/runtime/run-files.ts";
import { readSettings } from "../../lib/runtime/settings.ts";

const REQUEST_TIMEOUT_MS = 10_000;
const RECEIPT_WAIT_MS = 10_000;
const ASK_EVERY_MS = 50;

/** The door of the agent on this machine: it takes entries whether or not the hub is in reach. */
export interface AgentDoor {
  readonly machine: string;
  /** Resolves when the entry is on the agent's disk. */
  save(entry: { id: string; at: string; fields: EntryFields }): Promise<void>;
  /** As {@link AgentDoor.save} for up to 1,000 entries. */
  saveAll(entries: readonly { id: string; at: string; tz: string; fields: EntryFields }[]): Promise<void>;
  /** In the order of up to 1,000 ids; null for one that the agent does not know. */
  statusesOf(ids: readonly string[]): Promise<z.infer<typeof EntryState>[]>;
  /** The entry's receipt as soon as there is one; null when there is none within 10 seconds. */
  receiptOf(id: string): Promise<Receipt | null>;
}

/**
 * @param as - id of the agent; that of the settings when left out.
 * @throws RastroError `not_reachable` when no agent runs here, `not_allowed` when its key cannot be read.
 */
export async function openDoor(env: NodeJS.ProcessEnv, as?: string): Promise<AgentDoor> {
  const settings = readSettings(as === undefined ? env : { ...env, RASTRO_MACHINE: as });
  const url = readRunFile(settings.data, "edge-agent")?.url;
  if (url === undefined) throw notReachable(`no agent runs with the data folder ${settings.data}`);
  const key = await readKey(foldersOf(settings.data).doorKey(settings.machine));
  const ask = (method: string, path: string, body?: unknown) => exchange(`${url}${path}`, key, method, body);

  return {
    machine: settings.machine,
    save: async (entry) => {
      await ask("POST", "/entries", entry);
    },
    saveAll: async (entries) => {
      await ask("POST", "/entries", entries);
    },
    statusesOf: async (ids) => parseJson(Statuses, await ask("POST", "/receipts", { ids }), "the agent's answer"),
    receiptOf: async (id) => {
      const end = Date.now() + RECEIPT_WAIT_MS;
      while (Date.now() < end) {
        const { status } = parseJson(EntryState, await ask("GET", `/entries/${id}`), "the agent's answer");
        if (status !== "waiting") return status;
        await pause(ASK_EVERY_MS);
      }
      return null;
    },
  };
}

const EntryState = z.object({ id: z.string(), status: z.union([z.literal("waiting"), Receipt]).nullable() });
const Statuses = z.array(EntryState);

async function exchange(url: string, key: string, method: string, body: unknown): Promise<string> {
  const answer = await fetch(url, {
    method,
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }).catch(() => {
    throw notReachable(`nothing answers at ${url}`);
  });
  const text = await answer.text();
  if (answer.ok) return text;
  throw new RastroError(parseJson(Problem, text, "the agent's answer"));
}

async function readKey(file: string): Promise<string> {
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new RastroError(
      {
        code: "not_allowed",
        message: `Reading the key of the agent's door, ${file}, failed (${code}); run this as the user that runs the agent.`,
      },
      { cause },
    );
  }
}

function notReachable(why: string): RastroError {
  return new RastroError({
    code: "not_reachable",
    message: `Handing the entry to the agent failed: ${why}; start it first.`,
  });
}
