import type { BenchPlant } from "./bench-plant.ts";
import type { Credentials } from "./wire.ts";

const NAME = "bench-scada";

/** A name that reads every status at full rate, signed in with a session. */
export async function addReader({ directory, session }: BenchPlant): Promise<Credentials> {
  const password = session.token.slice(0, 24);
  await directory.userAdd({ name: session.user, token: session.token }, { name: NAME, profile: "scada", password });
  const { token } = await directory.signIn({ user: NAME, password, app: "bench" });
  return { user: NAME, password: token };
}
