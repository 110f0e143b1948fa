import { z } from "zod";

/**
 * Every error that leaves a process carries one of these codes; scripts and screens decide by the code, people
 * read the message. The meaning of a code never changes; a code that is no longer used stays listed.
 */
export const ERROR_CODES = {
  malformed: "the bytes are not JSON",
  schema: "a field is missing, unknown, of another type or out of its range",
  justification_required: "a change other than a creation needs a reason code and a text of at least 10 characters",
  unknown_operation: "no service offers this operation",
  unknown_machine: "no machine of this id is registered",
  unknown_lot: "no entry was ever made for this lot",
  unknown_entry: "no entry of this id is in the book",
  unknown_record: "the book has no record of this number or id",
  no_checkpoint: "no checkpoint covers the record yet",
  unknown_export: "no export of this id can be fetched: never begun, left alone, or the service was started again",
  unknown_command: "no command of this name or id is known",
  second_person: "it takes two persons who signed in by name, and this is not the second",
  too_late: "the command is past the point where this can be done",
  unknown_session: "no such session is open, or it is somebody else's",
  no_rotation: "no rotation of the log's key is under way",
  unknown_name: "no person, machine or service of this name is registered",
  not_spoken_for: "the sender is not registered to speak for this machine",
  version_conflict: "the entry was changed since the version that was named",
  entry_voided: "a voided entry cannot be changed",
  wrong_owner: "another book owns this kind of event",
  id_conflict: "the same id was used before with other bytes",
  bad_signature: "the signature does not fit the bytes and the sender's registered key",
  sequence_reused: "the sender used a sequence number twice",
  not_allowed: "the profile of the sender does not allow this",
  expired: "the request arrived after its notAfter",
  timeout: "no answer came in time",
  not_yet_valid: "the command's issuedAt lies ahead of the hub's time",
  wrong_machine: "the command is addressed to another machine",
  no_command_key: "the machine has no key of the fleet pinned and takes no commands",
  retained: "a command that was kept by a broker is never taken",
  unknown_outcome: "the command was begun and cut off; what came of it is not known",
  too_large: "there are more bytes than are taken",
  not_reachable: "the other side could not be reached",
  busy: "too much is waiting; try again",
  too_slow: "more waited for the connection than is kept for one",
  bad_credentials: "user name and password, token or code do not fit",
  locked_out: "too many failed sign-ins; wait",
  already_erased: "the person was erased before",
  last_administrator: "without this administrator nobody could administer the plant",
  name_taken: "a person, machine or service already has this name",
  weak_password: "the password is too short",
  setup_done: "the first administrator exists already",
  bad_setting: "a setting has a value that cannot be used",
  port_taken: "another program listens on the port",
  store_locked: "another process has the data folder open",
  store_unusable: "the data folder cannot be written or read",
  file_unusable: "a file that was named cannot be written or read",
  store_newer: "the data folder was written by a newer version",
  book_behind: "somebody has seen more of the book than it has; it takes no further records",
  not_behind: "nobody is known to have seen more of the book than it has",
  book_damaged: "the book does not agree with itself; it takes no further records",
  copy_unproven: "the copy of a book has not proven what is known to have been in it, or it has diverged",
  backup_damaged: "the backup does not agree with itself",
  backup_format: "the backup was written in another format",
  older_backup: "the backup is older than what is known of the book, or of another history",
  unknown_backup: "no backup of this name is there",
  internal: "a fault in Rastro itself",
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

export const ErrorCode = z.enum(Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]]);

/** An error as it crosses a topic or HTTP. `field`, `given` and `expected` are there when one field is at fault. */
export const Problem = z.object({
  code: ErrorCode,
  message: z.string(),
  field: z.string().optional(),
  given: z.string().optional(),
  expected: z.string().optional(),
});
export type Problem = z.infer<typeof Problem>;

/** The one error class that carries a {@link Problem} between functions. */
export class RastroError extends Error {
  readonly code: ErrorCode;
  readonly problem: Problem;

  /** @param problem - `message` says the action, the value and the expectation in one sentence. */
  constructor(problem: Problem, options?: ErrorOptions) {
    super(problem.message, options);
    this.name = "RastroError";
    this.code = problem.code;
    this.problem = problem;
  }
}

/** Turns whatever was thrown into a problem; what is not a {@link RastroError} becomes `internal` and says no more. */
export function toProblem(thrown: unknown): Problem {
  return thrown instanceof RastroError
    ? thrown.problem
    : { code: "internal", message: "The request failed for a reason inside Rastro; the log of the service has it." };
}
