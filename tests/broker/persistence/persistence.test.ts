import { BACKENDS } from "../../suites/backends.ts";
import { persistenceSuite } from "../../suites/persistence.ts";

for (const backend of BACKENDS) persistenceSuite(backend);
