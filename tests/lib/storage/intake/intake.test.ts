import { BACKENDS } from "../../../suites/backends.ts";
import { intakeSuite } from "../../../suites/intake.ts";

for (const backend of BACKENDS) intakeSuite(backend);
