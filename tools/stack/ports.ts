import { createServer } from "node:net";
import { RastroError } from "../../lib/contracts/errors.ts";

/** A port that the stack is about to use, with the variable that chooses another. */
export type WantedPort = { port: number; variable: string; use: string };

/**
 * Resolves when nobody listens on these ports of `host`.
 * @throws RastroError `port_taken` for the first that is taken, `bad_setting` for one that may not be opened at all.
 */
export async function checkPorts(host: string, wanted: readonly WantedPort[]): Promise<void> {
  for (const one of wanted) await checkPort(host, one);
}

async function checkPort(host: string, wanted: WantedPort): Promise<void> {
  try {
    await listenOnce(host, wanted.port);
  } catch (cause) {
    throw explain(host, wanted, (cause as NodeJS.ErrnoException).code ?? String(cause));
  }
}

function listenOnce(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()));
  });
}

function explain(host: string, { port, variable, use }: WantedPort, code: string): RastroError {
  if (code === "EADDRINUSE") {
    return new RastroError({
      code: "port_taken",
      message:
        `Opening port ${port} of ${host} for ${use} failed: another program listens there; ` +
        `stop it, or choose another port with ${variable}.`,
    });
  }
  return new RastroError({
    code: "bad_setting",
    message: `Opening port ${port} of ${host} for ${use} failed (${code}); choose another port with ${variable}.`,
    field: variable,
    given: String(port),
  });
}
