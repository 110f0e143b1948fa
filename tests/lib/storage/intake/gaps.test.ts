import { BACKENDS } from "../../../suites/backends.ts";
import { gapsSuite } from "../../../suites/gaps.ts";

for (const backend of BACKENDS) gapsSuite(backend);
