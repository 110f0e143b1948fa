/** What bench:fleet tells a process of its pool, once: whom to play, and where. */
export type Cast = {
  url: string;
  plant: string;
  /** A folder for the stores of the agents. */
  folder: string;
  /** The fleet's public command key, base64. */
  commandKey: string;
  agents: { id: string; key: string }[];
  statusHz: number;
};

/** Afterwards: this one is killed, which for the hub is that its sockets close without a word. */
export type Kill = { kill: string };
