import { resolve } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RastroError } from "../../../lib/contracts/errors.ts";
import { Segment } from "../../../lib/contracts/names.ts";
import { machineFromHost, readSettings } from "../../../lib/runtime/settings.ts";

function failure(environment: Record<string, string>): RastroError {
  try {
    readSettings(environment);
  } catch (error) {
    return error as RastroError;
  }
  throw new Error("the settings were taken");
}

describe("settings", () => {
  it("have a value each without any variable, and with empty ones", () => {
    const expected = {
      data: resolve("./data"),
      host: "127.0.0.1",
      mqttPort: 1883,
      wsPort: 8083,
      httpPort: 8080,
      healthPort: 0,
      brokerUrl: "mqtt://127.0.0.1:1883",
      externalBroker: false,
      adminPassword: null,
      logLevel: "info",
    };
    expect(readSettings({})).toMatchObject(expected);
    expect(readSettings({ RASTRO_DATA: "", RASTRO_MQTT_PORT: " ", RASTRO_ADMIN_PASSWORD: "" })).toMatchObject(expected);
    expect(Segment.safeParse(readSettings({}).machine).success).toBe(true);
  });

  it("are taken from the environment", () => {
    const settings = readSettings({
      RASTRO_DATA: "/var/lib/rastro",
      RASTRO_HOST: "::1",
      RASTRO_MQTT_PORT: "11883",
      RASTRO_ADMIN_PASSWORD: "long enough",
      RASTRO_MACHINE: "ipc-07",
      RASTRO_TZ: "America/Sao_Paulo",
      RASTRO_LOG_LEVEL: "debug",
      RASTRO_MAX_CONNECTIONS: "address=16, total=500",
      RASTRO_SESSION_IDLE_HOURS: "8",
      RASTRO_SESSION_MAX_DAYS: "7",
      RASTRO_QUEUE_MAX_MESSAGES: "500",
      RASTRO_QUEUE_MAX_MB: "2",
      RASTRO_QUEUE_MAX_HOURS: "24",
      RASTRO_QUEUE_EXPIRY_HOURS: "48",
    });
    expect(settings).toMatchObject({
      data: "/var/lib/rastro",
      brokerUrl: "mqtt://[::1]:11883",
      adminPassword: "long enough",
      machine: "ipc-07",
      tz: "America/Sao_Paulo",
      logLevel: "debug",
      connectionLimits: { address: 16, total: 500 },
      sessionIdleMs: 8 * 3_600_000,
      sessionMaxMs: 7 * 24 * 3_600_000,
      queueLimits: { messages: 500, bytes: 2 * 1024 * 1024, ageMs: 24 * 3_600_000, expiryMs: 48 * 3_600_000 },
    });
    expect(readSettings({ RASTRO_BROKER_URL: "mqtts://broker.example:8883" })).toMatchObject({
      brokerUrl: "mqtts://broker.example:8883",
      externalBroker: true,
    });
  });

  it.each([
    ["RASTRO_MQTT_PORT", "65536"],
    ["RASTRO_WS_PORT", "-1"],
    ["RASTRO_HTTP_PORT", "http"],
    ["RASTRO_MAX_PACKET_BYTES", "8192"],
    ["RASTRO_MAX_CONNECTIONS", "adress=3"],
    ["RASTRO_MAX_CONNECTIONS", "address=0"],
    ["RASTRO_MAX_CONNECTIONS", "total=10,machines=10"],
    ["RASTRO_SESSION_IDLE_HOURS", "0"],
    ["RASTRO_SESSION_IDLE_HOURS", "1.5"],
    ["RASTRO_SESSION_MAX_DAYS", "9999"],
    ["RASTRO_QUEUE_MAX_MESSAGES", "0"],
    ["RASTRO_QUEUE_MAX_MB", "16MB"],
    ["RASTRO_MAX_PACKET_BYTES", "1MB"],
    ["RASTRO_HEALTH_PORT", "1e3"],
    ["RASTRO_HOST", "hub.plant.example"],
    ["RASTRO_HOST", "0.0.0"],
    ["RASTRO_PLAINTEXT", "yes"],
    ["RASTRO_TLS_NAMES", "hub_1"],
    ["RASTRO_MACHINE", "IPC 7"],
    ["RASTRO_MACHINE", "production"],
    ["RASTRO_TZ", "Brazil/Nowhere"],
    ["RASTRO_LOG_LEVEL", "loud"],
  ])("refuse %s=%s and name variable, value and expectation", (name, value) => {
    const error = failure({ [name]: value });
    expect(error.code).toBe("bad_setting");
    expect(error.message).toContain(name);
    expect(error.message).toContain(JSON.stringify(value));
    expect(error.problem).toMatchObject({ field: name, expected: expect.stringMatching(/./) });
  });

  it("open the network to TLS alone, unless plain text is allowed in so many words", () => {
    expect(readSettings({ RASTRO_HOST: "0.0.0.0" })).toMatchObject({
      host: "127.0.0.1",
      tlsHost: "0.0.0.0",
      brokerUrl: "mqtt://127.0.0.1:1883",
    });
    expect(readSettings({ RASTRO_HOST: "0.0.0.0", RASTRO_PLAINTEXT: "everywhere" })).toMatchObject({
      host: "0.0.0.0",
      tlsHost: "0.0.0.0",
      brokerUrl: "mqtt://127.0.0.1:1883",
    });
    expect(readSettings({ RASTRO_HOST: "192.168.0.7", RASTRO_PLAINTEXT: "loopback" }).host).toBe("127.0.0.1");
    expect(readSettings({ RASTRO_TLS_NAMES: "Hub.plant.example, 10.0.0.7" }).tlsNames).toEqual([
      "hub.plant.example",
      "10.0.0.7",
    ]);
  });

  it.each([
    ["RASTRO_ADMIN_PASSWORD", "s3cret"],
    ["RASTRO_BROKER_URL", "mqtt://ana:s3cret@broker.example"],
    ["RASTRO_BROKER_URL", "s3cret"],
  ])("never repeat a secret: %s", (name, value) => {
    const error = failure({ [name]: value });
    expect(error.code).toBe("bad_setting");
    expect(JSON.stringify(error.problem)).not.toContain("s3cret");
  });

  it("make a machine id of any host name", () => {
    expect(machineFromHost("IPC-07.plant.example")).toBe("ipc-07-plant-example");
    expect(machineFromHost("console")).toBe("console-pc");
    expect(machineFromHost("***")).toBe("machine");
    fc.assert(fc.property(fc.string(), (host) => Segment.safeParse(machineFromHost(host)).success));
  });
});
