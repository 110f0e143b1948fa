import type { Logger } from "../../../lib/runtime/log.ts";
import type { BookOwnAct } from "../own-acts.ts";
import { draftOf, type Teller } from "./own-events.ts";
import { beginningOf, endOf, type Trouble, type TroubleKey, troubleKey, type TroubleType } from "./troubles.ts";
import type { WitnessView } from "./view.ts";

/** Troubles, each put on record once when it begins and once when it ends. */
export interface TroubleLog {
  begin(trouble: Trouble): void;
  end(key: TroubleKey, why: string): void;
  /** Also those that the book could not take. */
  open(type?: TroubleType): Trouble[];
  /** Puts on record what the book did not take before. Resolves when it is on disk, or refused again. */
  settle(): Promise<void>;
}

/** What is said of troubles is put on record in the order in which it was said. */
export function createTroubleLog(o: {
  view: Pick<WitnessView, "open" | "find">;
  tell: BookOwnAct;
  teller: Teller;
  log: Logger;
}): TroubleLog {
  /** What is to be on record, as far as it is not: null for an end. */
  const wanted = new Map<string, { trouble: Trouble | null; key: TroubleKey; why: string }>();
  let last: Promise<void> = Promise.resolve();

  async function settleNow(): Promise<void> {
    for (const [name, { trouble, key, why }] of wanted) {
      if (!isOnRecord(trouble, key)) {
        const told = trouble === null ? endOf(key, why) : beginningOf(trouble);
        try {
          await o.tell(draftOf(o.teller, told));
        } catch (error) {
          o.log.error({ err: error, type: told.type }, "what is wrong with a witness could not be put on record yet");
          return;
        }
      }
      // It may have ended, or begun again, while it was being written.
      if (wanted.get(name)?.trouble === trouble) wanted.delete(name);
    }
  }

  function isOnRecord(trouble: Trouble | null, key: TroubleKey): boolean {
    const known = o.view.find(key);
    return trouble === null ? known === null : known !== null && !saysMore(trouble, known);
  }

  const settle = () => (last = last.then(settleNow));
  return {
    begin(trouble) {
      const name = troubleKey(trouble);
      const known = wanted.has(name) ? (wanted.get(name)?.trouble ?? null) : o.view.find(trouble);
      if (known !== null && !saysMore(trouble, known)) return;
      o.log.warn({ type: trouble.type, book: trouble.book, witness: trouble.witness }, trouble.message);
      wanted.set(name, { trouble, key: trouble, why: "" });
      void settle();
    },
    end(key, why) {
      const name = troubleKey(key);
      const isOpen = wanted.has(name) ? wanted.get(name)?.trouble !== null : o.view.find(key) !== null;
      if (!isOpen) return;
      o.log.info({ type: key.type, book: key.book, witness: key.witness }, why);
      wanted.set(name, { trouble: null, key, why });
      void settle();
    },
    open(type) {
      const known = o.view.open().filter((trouble) => !wanted.has(troubleKey(trouble)));
      const unrecorded = [...wanted.values()].flatMap(({ trouble }) => (trouble === null ? [] : [trouble]));
      return [...known, ...unrecorded].filter((trouble) => type === undefined || trouble.type === type);
    },
    settle,
  };
}

/** A second witness of one contradiction, or its alarm after its answer, may have the note that was not known before. */
function saysMore({ notes }: Trouble, known: Trouble): boolean {
  return (notes?.held ?? null) !== null && (known.notes?.held ?? null) === null;
}
