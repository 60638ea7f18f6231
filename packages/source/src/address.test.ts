import { describe, expect, it } from "vitest";
import { canonicalAddress, resolveAllowed } from "./address.ts";

describe("addresses", () => {
  it("come to a policy in one form", () => {
    expect(canonicalAddress("::FFFF:127.0.0.1")).toBe("127.0.0.1");
    expect(canonicalAddress("::ffff:7f00:1")).toBe("127.0.0.1");
    expect(canonicalAddress("0:0:0:0:0:0:0:1")).toBe("::1");
    expect(canonicalAddress("fe80::1%eth0")).toBe("fe80::1");
    expect(canonicalAddress("10.0.0.1")).toBe("10.0.0.1");
  });

  it("are refused when one of several is forbidden", async () => {
    const policy = { allow: (ip: string) => ip !== "10.0.0.1" };
    const both = resolveAllowed("name", policy, async () => ["192.0.2.1", "10.0.0.1"]);
    await expect(both).rejects.toMatchObject({ code: "TARGET_FORBIDDEN", data: { address: "10.0.0.1" } });
    expect(await resolveAllowed("name", policy, async () => ["192.0.2.1", "192.0.2.1"])).toEqual(["192.0.2.1"]);
    await expect(resolveAllowed("[::ffff:10.0.0.1]", policy)).rejects.toMatchObject({ code: "TARGET_FORBIDDEN" });
    await expect(resolveAllowed("name", policy, async () => [])).rejects.toMatchObject({ code: "HOST_UNRESOLVED" });
  });

  it("in numeric disguise are judged by what the system makes of them", async () => {
    const seen: string[] = [];
    const policy = {
      allow: (ip: string) => {
        seen.push(ip);
        return false;
      },
    };
    for (const host of ["2130706433", "0x7f.1", "127.1"]) {
      const refused = await resolveAllowed(host, policy).catch((error: unknown) => error);
      // A system that resolves such names resolves them to loopback; one that does not refuses them.
      expect(refused).toMatchObject({ code: expect.stringMatching(/^(TARGET_FORBIDDEN|HOST_UNRESOLVED)$/) });
    }
    expect(seen.filter((ip) => ip !== "127.0.0.1")).toEqual([]);
  });
});
