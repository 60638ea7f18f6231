CREATE TABLE "alerts" (
	"id" uuid PRIMARY KEY NOT NULL,
	"tenant_id" uuid NOT NULL,
	"kind" text NOT NULL,
	"severity" text NOT NULL,
	"subject_kind" text NOT NULL,
	"subject_id" uuid NOT NULL,
	"message" text NOT NULL,
	"fix" text NOT NULL,
	"data" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"seen" integer DEFAULT 1 NOT NULL,
	"opened_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"last_seen_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"resolved_at" timestamp (3) with time zone,
	"resolution" text,
	CONSTRAINT "alerts_tenant_id_id" UNIQUE("tenant_id","id"),
	CONSTRAINT "alerts_severity" CHECK ("alerts"."severity" in ('warning', 'critical'))
);
--> statement-breakpoint
CREATE TABLE "idempotency_keys" (
	"tenant_id" uuid NOT NULL,
	"caller_id" uuid NOT NULL,
	"key" text NOT NULL,
	"request_hash" text NOT NULL,
	"status" integer,
	"body" jsonb,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "idempotency_keys_pk" PRIMARY KEY("tenant_id","caller_id","key")
);
--> statement-breakpoint
CREATE TABLE "webhook_deliveries" (
	"id" uuid PRIMARY KEY NOT NULL,
	"tenant_id" uuid NOT NULL,
	"webhook_id" uuid NOT NULL,
	"event" text NOT NULL,
	"payload" jsonb NOT NULL,
	"state" text DEFAULT 'pending' NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"next_attempt_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"status_code" integer,
	"error" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"finished_at" timestamp (3) with time zone,
	CONSTRAINT "webhook_deliveries_tenant_id_id" UNIQUE("tenant_id","id"),
	CONSTRAINT "webhook_deliveries_state" CHECK ("webhook_deliveries"."state" in ('pending', 'delivered', 'failed'))
);
--> statement-breakpoint
CREATE TABLE "webhooks" (
	"id" uuid PRIMARY KEY NOT NULL,
	"tenant_id" uuid NOT NULL,
	"name" text NOT NULL,
	"url" text NOT NULL,
	"events" jsonb NOT NULL,
	"sealed" text NOT NULL,
	"key_version" integer NOT NULL,
	"enabled" boolean DEFAULT true NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "webhooks_tenant_id_id" UNIQUE("tenant_id","id")
);
--> statement-breakpoint
CREATE TABLE "proofs" (
	"id" uuid PRIMARY KEY NOT NULL,
	"tenant_id" uuid NOT NULL,
	"source_id" uuid NOT NULL,
	"snapshot_id" uuid NOT NULL,
	"job_id" uuid,
	"passed" boolean NOT NULL,
	"statement" jsonb NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "proofs_tenant_id_id" UNIQUE("tenant_id","id")
);
--> statement-breakpoint
CREATE TABLE "retention_rules" (
	"tenant_id" uuid NOT NULL,
	"package_type" text NOT NULL,
	"rules" jsonb NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "retention_rules_pk" PRIMARY KEY("tenant_id","package_type"),
	CONSTRAINT "retention_rules_type" CHECK ("retention_rules"."package_type" in ('user_data', 'app_logs', 'audit_logs', 'business_data', 'job_package', 'cache'))
);
--> statement-breakpoint
CREATE TABLE "workspace_settings" (
	"tenant_id" uuid PRIMARY KEY NOT NULL,
	"settings" jsonb NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "copies" (
	"id" uuid PRIMARY KEY NOT NULL,
	"tenant_id" uuid NOT NULL,
	"snapshot_id" uuid NOT NULL,
	"storage_id" uuid NOT NULL,
	"worker_id" uuid,
	"state" text NOT NULL,
	"location" text NOT NULL,
	"size_bytes" bigint NOT NULL,
	"locked_until" timestamp (3) with time zone,
	"checked_at" timestamp (3) with time zone,
	"checked_depth" text,
	"check_result" jsonb,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"removed_at" timestamp (3) with time zone,
	CONSTRAINT "copies_tenant_id_id" UNIQUE("tenant_id","id"),
	CONSTRAINT "copies_state" CHECK ("copies"."state" in ('complete', 'missing', 'corrupt', 'removing', 'removed')),
	CONSTRAINT "copies_depth" CHECK ("copies"."checked_depth" in ('presence', 'sample', 'whole', 'content'))
);
--> statement-breakpoint
CREATE TABLE "placements" (
	"tenant_id" uuid NOT NULL,
	"source_id" uuid NOT NULL,
	"storage_id" uuid NOT NULL,
	"position" integer NOT NULL,
	CONSTRAINT "placements_pk" PRIMARY KEY("tenant_id","source_id","storage_id")
);
--> statement-breakpoint
CREATE TABLE "platform_storages" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"kind" text NOT NULL,
	"tier" text NOT NULL,
	"config" jsonb NOT NULL,
	"sealed" text,
	"kek_id" text,
	"offered" boolean DEFAULT true NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"retired_at" timestamp (3) with time zone,
	CONSTRAINT "platform_storages_kind" CHECK ("platform_storages"."kind" in ('local_fs', 's3', 'rclone')),
	CONSTRAINT "platform_storages_tier" CHECK ("platform_storages"."tier" in ('hot', 'warm', 'cold', 'offsite'))
);
--> statement-breakpoint
CREATE TABLE "storages" (
	"id" uuid PRIMARY KEY NOT NULL,
	"tenant_id" uuid NOT NULL,
	"name" text NOT NULL,
	"kind" text NOT NULL,
	"tier" text NOT NULL,
	"config" jsonb NOT NULL,
	"platform_storage_id" uuid,
	"sealed" text,
	"key_version" integer,
	"state" text DEFAULT 'active' NOT NULL,
	"lock_proven_at" timestamp (3) with time zone,
	"tested_at" timestamp (3) with time zone,
	"test" jsonb,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "storages_tenant_id_id" UNIQUE("tenant_id","id"),
	CONSTRAINT "storages_kind" CHECK ("storages"."kind" in ('local_fs', 's3', 'rclone')),
	CONSTRAINT "storages_tier" CHECK ("storages"."tier" in ('hot', 'warm', 'cold', 'offsite')),
	CONSTRAINT "storages_state" CHECK ("storages"."state" in ('active', 'retired'))
);
--> statement-breakpoint
ALTER TABLE "jobs" DROP CONSTRAINT "jobs_type";--> statement-breakpoint
ALTER TABLE "snapshots" ADD COLUMN "stats" jsonb;--> statement-breakpoint
ALTER TABLE "snapshots" ADD COLUMN "pinned_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "snapshots" ADD COLUMN "pin_note" text;--> statement-breakpoint
ALTER TABLE "snapshots" ADD COLUMN "held_until" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "packages" ADD COLUMN "snapshot_id" uuid;--> statement-breakpoint
ALTER TABLE "sources" ADD COLUMN "package_type" text DEFAULT 'user_data' NOT NULL;--> statement-breakpoint
ALTER TABLE "alerts" ADD CONSTRAINT "alerts_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "idempotency_keys" ADD CONSTRAINT "idempotency_keys_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "webhook_deliveries" ADD CONSTRAINT "webhook_deliveries_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "webhook_deliveries" ADD CONSTRAINT "webhook_deliveries_webhook_fk" FOREIGN KEY ("tenant_id","webhook_id") REFERENCES "public"."webhooks"("tenant_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "webhooks" ADD CONSTRAINT "webhooks_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "proofs" ADD CONSTRAINT "proofs_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "proofs" ADD CONSTRAINT "proofs_source_fk" FOREIGN KEY ("tenant_id","source_id") REFERENCES "public"."sources"("tenant_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "proofs" ADD CONSTRAINT "proofs_snapshot_fk" FOREIGN KEY ("tenant_id","snapshot_id") REFERENCES "public"."snapshots"("tenant_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "proofs" ADD CONSTRAINT "proofs_job_fk" FOREIGN KEY ("tenant_id","job_id") REFERENCES "public"."jobs"("tenant_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "retention_rules" ADD CONSTRAINT "retention_rules_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "workspace_settings" ADD CONSTRAINT "workspace_settings_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "copies" ADD CONSTRAINT "copies_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "copies" ADD CONSTRAINT "copies_worker_id_workers_id_fk" FOREIGN KEY ("worker_id") REFERENCES "public"."workers"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "copies" ADD CONSTRAINT "copies_snapshot_fk" FOREIGN KEY ("tenant_id","snapshot_id") REFERENCES "public"."snapshots"("tenant_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "copies" ADD CONSTRAINT "copies_storage_fk" FOREIGN KEY ("tenant_id","storage_id") REFERENCES "public"."storages"("tenant_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "placements" ADD CONSTRAINT "placements_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "placements" ADD CONSTRAINT "placements_source_fk" FOREIGN KEY ("tenant_id","source_id") REFERENCES "public"."sources"("tenant_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "placements" ADD CONSTRAINT "placements_storage_fk" FOREIGN KEY ("tenant_id","storage_id") REFERENCES "public"."storages"("tenant_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "storages" ADD CONSTRAINT "storages_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "storages" ADD CONSTRAINT "storages_platform_storage_id_platform_storages_id_fk" FOREIGN KEY ("platform_storage_id") REFERENCES "public"."platform_storages"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "alerts_open" ON "alerts" USING btree ("tenant_id","kind","subject_id") WHERE "alerts"."resolved_at" is null;--> statement-breakpoint
CREATE INDEX "alerts_newest" ON "alerts" USING btree ("tenant_id","opened_at","id");--> statement-breakpoint
CREATE INDEX "idempotency_keys_age" ON "idempotency_keys" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "webhook_deliveries_due" ON "webhook_deliveries" USING btree ("next_attempt_at") WHERE "webhook_deliveries"."state" = 'pending';--> statement-breakpoint
CREATE INDEX "webhook_deliveries_newest" ON "webhook_deliveries" USING btree ("tenant_id","webhook_id","created_at","id");--> statement-breakpoint
CREATE INDEX "proofs_newest" ON "proofs" USING btree ("tenant_id","created_at","id");--> statement-breakpoint
CREATE INDEX "proofs_of_snapshot" ON "proofs" USING btree ("tenant_id","snapshot_id");--> statement-breakpoint
CREATE UNIQUE INDEX "copies_one_each" ON "copies" USING btree ("tenant_id","snapshot_id","storage_id") WHERE "copies"."state" <> 'removed';--> statement-breakpoint
CREATE INDEX "copies_of_storage" ON "copies" USING btree ("tenant_id","storage_id");--> statement-breakpoint
CREATE INDEX "copies_of_worker" ON "copies" USING btree ("worker_id");--> statement-breakpoint
CREATE INDEX "copies_by_check" ON "copies" USING btree ("tenant_id","checked_at");--> statement-breakpoint
CREATE INDEX "placements_of_storage" ON "placements" USING btree ("tenant_id","storage_id");--> statement-breakpoint
CREATE INDEX "platform_storages_kek" ON "platform_storages" USING btree ("kek_id");--> statement-breakpoint
CREATE UNIQUE INDEX "storages_name" ON "storages" USING btree ("tenant_id","name") WHERE "storages"."state" = 'active';--> statement-breakpoint
CREATE INDEX "storages_of_platform" ON "storages" USING btree ("platform_storage_id");--> statement-breakpoint
ALTER TABLE "packages" ADD CONSTRAINT "packages_snapshot_fk" FOREIGN KEY ("tenant_id","snapshot_id") REFERENCES "public"."snapshots"("tenant_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "packages_of_snapshot" ON "packages" USING btree ("tenant_id","snapshot_id");--> statement-breakpoint
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_type" CHECK ("jobs"."type" in ('backup', 'restore', 'verify', 'drill', 'transfer', 'expire', 'ingest', 'preflight', 'browse', 'probe', 'quote', 'storage_test'));
--> statement-breakpoint
-- What is there already: each workspace has its workers' disks as a storage, each snapshot its copy there, and is a package. Row-level security
-- binds the owner too, but for these statements.
--> statement-breakpoint
ALTER TABLE "tenants" NO FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "snapshots" NO FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "jobs" NO FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "sources" NO FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "packages" NO FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
INSERT INTO "storages" ("id", "tenant_id", "name", "kind", "tier", "config")
  SELECT gen_random_uuid(), t."id", 'Worker disks', 'local_fs', 'hot', '{"folder": ""}'::jsonb FROM "tenants" t;
--> statement-breakpoint
INSERT INTO "copies" ("id", "tenant_id", "snapshot_id", "storage_id", "worker_id", "state", "location", "size_bytes", "created_at", "removed_at")
  SELECT gen_random_uuid(), s."tenant_id", s."id", o."id", s."worker_id",
    CASE WHEN s."state" = 'complete' THEN 'complete'
         WHEN s."state" = 'lost' THEN 'missing'
         WHEN EXISTS (SELECT 1 FROM "jobs" j WHERE j."tenant_id" = s."tenant_id" AND j."snapshot_id" = s."id" AND j."type" = 'expire' AND j."state" IN ('queued', 'running')) THEN 'removing'
         ELSE 'removed' END,
    coalesce(s."local_path", ''), s."size_bytes", s."created_at", CASE WHEN s."state" = 'expired' THEN s."expires_at" END
  FROM "snapshots" s JOIN "storages" o ON o."tenant_id" = s."tenant_id"
  WHERE s."state" <> 'pending';
--> statement-breakpoint
INSERT INTO "packages" ("id", "tenant_id", "source_id", "job_id", "snapshot_id", "path", "package_type", "tier", "size_bytes", "checksum", "created_at", "updated_at")
  SELECT s."job_id", s."tenant_id", s."source_id", s."job_id", s."id", left(coalesce(nullif((SELECT string_agg(p, ', ') FROM jsonb_array_elements_text(r."paths") p), ''), '/'), 4096),
    'user_data', 'hot', s."size_bytes", s."sha256", s."created_at", s."created_at"
  FROM "snapshots" s JOIN "sources" r ON r."tenant_id" = s."tenant_id" AND r."id" = s."source_id"
  WHERE s."state" <> 'pending' ON CONFLICT DO NOTHING;
--> statement-breakpoint
ALTER TABLE "tenants" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "snapshots" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "jobs" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "sources" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "packages" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "storages" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "storages" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "placements" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "placements" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "copies" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "copies" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "retention_rules" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "retention_rules" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "workspace_settings" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "workspace_settings" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "proofs" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "proofs" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "alerts" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "alerts" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "webhooks" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "webhooks" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "webhook_deliveries" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "webhook_deliveries" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "idempotency_keys" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "idempotency_keys" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "platform_storages" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "platform_storages" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY "own_workspace" ON "storages" FOR ALL TO xvault_app
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
--> statement-breakpoint
CREATE POLICY "own_workspace" ON "placements" FOR ALL TO xvault_app
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
--> statement-breakpoint
CREATE POLICY "own_workspace" ON "copies" FOR ALL TO xvault_app
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
--> statement-breakpoint
CREATE POLICY "own_workspace" ON "retention_rules" FOR ALL TO xvault_app
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
--> statement-breakpoint
CREATE POLICY "own_workspace" ON "workspace_settings" FOR ALL TO xvault_app
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
--> statement-breakpoint
CREATE POLICY "own_workspace" ON "proofs" FOR ALL TO xvault_app
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
--> statement-breakpoint
CREATE POLICY "own_workspace" ON "alerts" FOR ALL TO xvault_app
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
--> statement-breakpoint
CREATE POLICY "own_workspace" ON "webhooks" FOR ALL TO xvault_app
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
--> statement-breakpoint
CREATE POLICY "own_workspace" ON "webhook_deliveries" FOR ALL TO xvault_app
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
--> statement-breakpoint
CREATE POLICY "own_workspace" ON "idempotency_keys" FOR ALL TO xvault_app
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
--> statement-breakpoint
CREATE POLICY "platform" ON "storages" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY "platform" ON "copies" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY "platform" ON "workspace_settings" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY "platform" ON "alerts" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY "platform" ON "webhook_deliveries" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY "platform" ON "idempotency_keys" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
--> statement-breakpoint
CREATE POLICY "platform" ON "platform_storages" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
--> statement-breakpoint
-- What the operator offers is for every workspace to see; grants keep what opens it from the app role.
CREATE POLICY "offered" ON "platform_storages" FOR SELECT TO xvault_app USING (true);
