import { expect, test } from "vitest";
import { childEnvironment } from "../../src/executor/child-environment.ts";

test("what is usual passes, what is not passes by name only", () => {
  const environment = {
    PATH: "/bin",
    TZ: "UTC",
    LC_ALL: "C",
    NODE_ENV: "test",
    NODE_OPTIONS: "--inspect",
    LD_PRELOAD: "/tmp/evil.so",
    DATABASE_URL: "secret",
    API_KEY: "secret",
    PATHS: "not PATH",
  };

  expect(childEnvironment(["API_KEY", "NOT_SET"], environment)).toEqual({
    PATH: "/bin",
    TZ: "UTC",
    LC_ALL: "C",
    NODE_ENV: "test",
    API_KEY: "secret",
  });
});
