import { once } from "node:events";
import type { Cast, Kill } from "./pool-messages.ts";
import { type SimulatedAgent, startSimulatedAgent } from "./simulated-agent.ts";

/*
 * One process of the pool of bench:fleet: plays the agents that it is told, and kills those that it is told to kill.
 */

process.send?.({ ready: true });
const [cast] = (await once(process, "message")) as [Cast];
const agents = new Map<string, SimulatedAgent>();
for (const agent of cast.agents) agents.set(agent.id, await startSimulatedAgent(cast, agent));
process.on("message", ({ kill }: Kill) => agents.get(kill)?.kill());
process.send?.({ playing: agents.size });
