/** Asks for records from `from` on; may answer with fewer than `limit`, never with none while there are any. */
export type FetchRecords = (from: number, limit: number) => Promise<Buffer[]>;

export type ReadAhead = {
  from: number;
  /** One more than the last record that is wanted. */
  to: number;
  fetch: FetchRecords;
  /** Requests on their way at once. */
  inFlight: number;
  /** The most records that are asked for in one request. */
  limit: number;
};

/**
 * Records in order, page by page, while the next pages are on their way: at most `inFlight` of them, and none is asked
 * for before the one that is as many places before it has been taken. So whoever takes them slowly slows the asking,
 * and at most so many pages are in memory.
 *
 * @throws what `fetch` throws; RangeError for an answer without the record that was asked for.
 */
export async function* readAhead(o: ReadAhead): AsyncGenerator<Buffer[], void, undefined> {
  const pages: Promise<Buffer[]>[] = [];
  let next = o.from;
  let limit = o.limit;

  const ask = () => {
    const end = Math.min(o.to, next + limit);
    const page = wholePage(o.fetch, next, end, (short) => {
      limit = Math.max(1, Math.min(limit, short));
    });
    // One that fails behind another that fails is never awaited.
    page.catch(() => undefined);
    pages.push(page);
    next = end;
  };

  for (;;) {
    while (pages.length < o.inFlight && next < o.to) ask();
    const page = pages.shift();
    if (page === undefined) return;
    yield await page;
  }
}

/** Asks again for what an answer left out: answers have a bound in bytes. */
async function wholePage(
  fetch: FetchRecords,
  from: number,
  end: number,
  onShort: (count: number) => void,
): Promise<Buffer[]> {
  const records: Buffer[] = [];
  while (from + records.length < end) {
    const wanted = end - from - records.length;
    const got = await fetch(from + records.length, wanted);
    if (got.length === 0 || got.length > wanted) {
      throw new RangeError(`asked for ${wanted} records from ${from + records.length} on, got ${got.length}`);
    }
    if (got.length < wanted) onShort(got.length);
    records.push(...got);
  }
  return records;
}
