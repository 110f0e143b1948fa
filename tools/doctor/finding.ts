/** `ok` needs nothing; `warn` may be meant; `fail` keeps something from working. */
export type Status = "ok" | "warn" | "fail";

export type Finding = {
  /** What was looked at, in one word. */
  check: string;
  status: Status;
  /** What was found. */
  says: string;
  /** What to do about it; null when nothing is needed. */
  todo: string | null;
};

export const ok = (check: string, says: string): Finding => ({ check, status: "ok", says, todo: null });
export const warn = (check: string, says: string, todo: string): Finding => ({ check, status: "warn", says, todo });
export const fail = (check: string, says: string, todo: string): Finding => ({ check, status: "fail", says, todo });
