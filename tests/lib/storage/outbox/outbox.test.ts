import { BACKENDS } from "../../../suites/backends.ts";
import { outboxSuite } from "../../../suites/outbox.ts";

for (const backend of BACKENDS) outboxSuite(backend);
