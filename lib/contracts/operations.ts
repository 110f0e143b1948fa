import type { z } from "zod";
import type { ServiceName } from "./directory.ts";
import { auditOperations } from "./operations/audit.ts";
import { fleetOperations } from "./operations/fleet.ts";
import type { Operation } from "./operations/operation.ts";
import { productionOperations } from "./operations/production.ts";

/**
 * Every operation that a person can ask a service for: who may, what goes in, what comes out. The service checks the
 * profile and parses the body by this table; the command line and the console use the same schemas.
 */
export const OPERATIONS = {
  production: productionOperations,
  audit: auditOperations,
  fleet: fleetOperations,
} as const satisfies Partial<Record<ServiceName, Record<string, Operation>>>;

export type Services = typeof OPERATIONS;
export type ServiceWithOperations = keyof Services;
export type OperationsOf<S extends ServiceWithOperations> = keyof Services[S] & string;
export type RequestOf<S extends ServiceWithOperations, O extends OperationsOf<S>> = Services[S][O] extends {
  request: infer R extends z.ZodType;
}
  ? z.output<R>
  : never;
export type RequestInput<S extends ServiceWithOperations, O extends OperationsOf<S>> = Services[S][O] extends {
  request: infer R extends z.ZodType;
}
  ? z.input<R>
  : never;
export type ResponseOf<S extends ServiceWithOperations, O extends OperationsOf<S>> = Services[S][O] extends {
  response: infer R extends z.ZodType;
}
  ? z.output<R>
  : never;

/** Looks an operation up by the words of a topic; null when no service offers it. */
export function findOperation(service: string, operation: string): Operation | null {
  const operations: Record<string, Record<string, Operation>> = OPERATIONS;
  if (!Object.hasOwn(operations, service)) return null;
  const ofService = operations[service] ?? {};
  return Object.hasOwn(ofService, operation) ? (ofService[operation] ?? null) : null;
}
