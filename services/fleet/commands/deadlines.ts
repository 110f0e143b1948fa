import type { After } from "../../../lib/messaging/timing.ts";
import { type CommandRecord, stepOf } from "./command-record.ts";

/** How long the fleet waits beyond a command's own times for words that are on their way, ms. */
export const GRACE_MS = 5000;

export type Deadlines = {
  /** Sets, moves or ends the deadline of a command by the state that it is in. */
  follow(record: CommandRecord): void;
  end(id: string): void;
  close(): void;
};

/**
 * Concludes from silence. A command that nobody was handed expires at its notAfter, as one that waits for approval; one that was sent a little later,
 * since its acknowledgement may be on its way; one that was acknowledged times out after its timeout. Of what was sent
 * nothing is concluded while the fleet is cut off, nor until a grace after it came back: machines are asked first.
 */
export function createDeadlines(o: {
  /** When the present connection of the fleet began, ms; null while there is none. */
  connectedSince: () => number | null;
  onSilence: (id: string) => void;
  now: () => number;
  after: After;
}): Deadlines {
  const cancels = new Map<string, () => void>();

  function end(id: string): void {
    cancels.get(id)?.();
    cancels.delete(id);
  }

  return {
    follow(record) {
      const { id } = record.command;
      end(id);
      const due = dueAt(record, o.connectedSince());
      if (due === null) return;
      const cancel = o.after(Math.max(0, due - o.now()), () => {
        cancels.delete(id);
        if (o.now() < due) this.follow(record);
        else o.onSilence(id);
      });
      cancels.set(id, cancel);
    },
    end,
    close() {
      for (const cancel of cancels.values()) cancel();
      cancels.clear();
    },
  };
}

/** When silence about a command means something, ms; null while it means nothing. */
export function dueAt(record: CommandRecord, connectedSince: number | null): number | null {
  const { state, at } = stepOf(record);
  const notAfter = Date.parse(record.command.notAfter);
  if (state === "queued" || state === "pending-approval") return notAfter + 1;
  if (connectedSince === null) return null;
  const own = state === "sent" ? notAfter : ackAt(record, at) + record.command.timeoutMs;
  return Math.max(own, connectedSince) + GRACE_MS;
}

function ackAt({ history }: CommandRecord, fallback: string): number {
  const begun = history.find(({ state }) => state === "acknowledged" || state === "running");
  return Date.parse(begun?.at ?? fallback);
}
