import { failOverSuite } from "../../suites/fail-over.ts";
import { FLOW_BROKERS } from "../../suites/flow-brokers.ts";

for (const broker of FLOW_BROKERS) failOverSuite(broker);
