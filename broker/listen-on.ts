import type { Server } from "node:net";
import { RastroError } from "../lib/contracts/errors.ts";

/**
 * Opens a port and says which it is; 0 asks for any free one.
 *
 * @param o.variable - the setting that chooses another.
 * @throws RastroError `port_taken` when another program listens there.
 */
export function listenOn(server: Server, o: { host: string; port: number; variable: string }): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(explain(error, o)));
    server.listen(o.port, o.host, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : o.port);
    });
  });
}

function explain(
  cause: NodeJS.ErrnoException,
  { host, port, variable }: { host: string; port: number; variable: string },
): Error {
  if (cause.code !== "EADDRINUSE") return cause;
  const message = `Listening on ${host}:${port} failed: another program listens there; stop it or set ${variable}.`;
  return new RastroError(
    { code: "port_taken", message, field: variable, given: String(port), expected: "a free port" },
    { cause },
  );
}
