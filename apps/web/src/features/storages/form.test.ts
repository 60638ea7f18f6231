import { createStorageInput } from "@xvault/contracts";
import { describe, expect, it } from "vitest";
import { emptyForm, inputOf, parametersOf, PRESETS, problemsOf, REMOTES, secretOf, withPreset } from "./form.ts";

const bucket = {
  ...emptyForm(),
  name: "Offsite",
  endpoint: "https://s3.example.org",
  bucket: "acme-backups",
  access_key_id: "key",
  secret_access_key: " secret\n",
};
const fields = (form: Parameters<typeof problemsOf>[0]) => problemsOf(form).map(({ name }) => name);

describe("the form of a storage", () => {
  it("sends a bucket with nothing where nothing was typed", () => {
    expect(problemsOf(bucket)).toEqual([]);
    const { place, secret } = createStorageInput.parse(inputOf(bucket));
    expect(place).toMatchObject({ kind: "s3", config: { storage_class: null, ca_pem: null, lock: null, prefix: "" } });
    expect(secret).toEqual({ kind: "s3", access_key_id: "key", secret_access_key: "secret" });
  });

  it("names each field that is missing or wrong", () => {
    const missing = fields({ ...bucket, name: "", endpoint: "", bucket: "", access_key_id: "", secret_access_key: "" });
    expect([...new Set(missing)].toSorted()).toEqual([
      "access_key_id",
      "bucket",
      "endpoint",
      "name",
      "secret_access_key",
    ]);
    expect(fields({ ...bucket, bucket: "UPPER" })).toEqual(["bucket"]);
    expect(fields({ ...bucket, endpoint: "s3.example.org" })).toEqual(["endpoint"]);
    expect(fields({ ...bucket, lock: "COMPLIANCE", days: 0 })).toEqual(["days"]);
    expect(problemsOf({ ...bucket, name: "" })[0]?.message).toBe("Fill this in.");
  });

  it("takes no address only for AWS", () => {
    expect(fields({ ...bucket, endpoint: "" })).toEqual(["endpoint"]);
    expect(fields(withPreset(bucket, "aws"))).toEqual([]);
  });

  it.each(PRESETS.map(({ value }) => value))("fills in what %s is like and keeps what was typed", (provider) => {
    const form = withPreset(bucket, provider);
    expect(form).toMatchObject({ provider, bucket: "acme-backups", access_key_id: "key" });
    expect(fields(form).filter((name) => name !== "endpoint")).toEqual([]);
  });

  it("keeps a remote's secrets apart from what is shown, and sends only what its type has", () => {
    const form = {
      ...emptyForm("rclone"),
      name: "Cloud",
      remote_type: "webdav",
      values: { url: "https://cloud.example.org/dav", user: "someone", pass: "secret", host: "left from another" },
      path: "backups",
    };
    const config = { remote_type: "webdav", path: "backups" };
    expect(createStorageInput.parse(inputOf(form)).place).toEqual({
      kind: "rclone",
      config: { ...config, parameters: { url: "https://cloud.example.org/dav", user: "someone" } },
    });
    expect(secretOf(form)).toEqual({ kind: "rclone", parameters: { pass: "secret" } });
    expect(secretOf({ ...form, values: {} })).toBeUndefined();
  });

  it("knows the remotes of the allow list, shown parameters first", () => {
    expect(REMOTES).toContain("b2");
    expect(REMOTES).not.toContain("local");
    expect(parametersOf("b2").map(({ name, secret }) => [name, secret])).toEqual([
      ["account", false],
      ["endpoint", false],
      ["key", true],
    ]);
    expect(parametersOf("constructor")).toEqual([]);
  });
});
