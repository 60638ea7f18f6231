import type { RetentionConfig } from "@xvault/contracts";
import { expect, test } from "vitest";
import { configOfForm, formOfConfig } from "./config-form.ts";

const objective = (rto: number | null, rpo: number | null) => ({
  rto_seconds: rto,
  rpo_seconds: rpo,
  achieved_rto_seconds: 1,
  achieved_rpo_seconds: null,
});

test("hours and days go out as they came in; an empty field is none", () => {
  const config = {
    retention: { audit_days: 365, operational_days: null },
    objectives: {
      hot: objective(14_400, 86_400),
      warm: objective(5400, null),
      cold: objective(null, null),
      offsite: objective(null, null),
    },
  } as unknown as RetentionConfig;
  const form = formOfConfig(config);
  expect(form.objectives.warm).toEqual({ rto: 1.5, rpo: "" });
  expect(configOfForm(form)).toMatchObject({
    retention: { audit_days: 365, operational_days: null },
    objectives: { hot: { rto_seconds: 14_400, rpo_seconds: 86_400 }, warm: { rto_seconds: 5400, rpo_seconds: null } },
  });
  form.audit = "";
  form.operational = "30";
  form.objectives.cold.rto = "0.5";
  expect(configOfForm(form)).toMatchObject({
    retention: { audit_days: null, operational_days: 30 },
    objectives: { cold: { rto_seconds: 1800, rpo_seconds: null } },
  });
});
