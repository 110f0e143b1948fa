import { type AddressInfo, createServer } from "node:net";
import { RastroError } from "../../lib/contracts/errors.ts";

/** A port that the stack is about to use, with the variable that chooses another. 0 asks for any free one. */
export type WantedPort = { port: number; variable: string; use: string };

/**
 * Resolves to the port when nobody listens on it, and for 0 to one that is free at this moment.
 *
 * @throws RastroError `port_taken` when it is taken, `bad_setting` when it may not be opened at all.
 */
export async function checkPort(host: string, wanted: WantedPort): Promise<number> {
  try {
    return await listenOnce(host, wanted.port);
  } catch (cause) {
    throw explain(host, wanted, (cause as NodeJS.ErrnoException).code ?? String(cause));
  }
}

function listenOnce(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ host, port, exclusive: true }, () => {
      const { port: opened } = server.address() as AddressInfo;
      server.close(() => resolve(opened));
    });
  });
}

function explain(host: string, { port, variable, use }: WantedPort, code: string): RastroError {
  const action = `Opening port ${port} of ${host} for ${use} failed`;
  const field = { field: variable, given: String(port) };
  if (code === "EADDRINUSE") {
    return new RastroError({
      code: "port_taken",
      message: `${action}: another program listens there; stop it, or choose another port with ${variable}.`,
      ...field,
    });
  }
  return new RastroError({
    code: "bad_setting",
    message: `${action} (${code}); choose another port with ${variable}.`,
    ...field,
  });
}
