CREATE TABLE "packages" (
	"id" uuid PRIMARY KEY NOT NULL,
	"tenant_id" uuid NOT NULL,
	"source_id" uuid NOT NULL,
	"job_id" uuid NOT NULL,
	"path" text NOT NULL,
	"package_type" text NOT NULL,
	"tier" text NOT NULL,
	"size_bytes" bigint,
	"checksum" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "packages_tenant_id_id" UNIQUE("tenant_id","id"),
	CONSTRAINT "packages_type" CHECK ("packages"."package_type" in ('user_data', 'app_logs', 'audit_logs', 'business_data', 'job_package', 'cache')),
	CONSTRAINT "packages_tier" CHECK ("packages"."tier" in ('hot', 'warm', 'cold', 'offsite'))
);
--> statement-breakpoint
ALTER TABLE "jobs" DROP CONSTRAINT "jobs_type";--> statement-breakpoint
ALTER TABLE "packages" ADD CONSTRAINT "packages_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "packages" ADD CONSTRAINT "packages_job_fk" FOREIGN KEY ("tenant_id","job_id") REFERENCES "public"."jobs"("tenant_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "packages" ADD CONSTRAINT "packages_source_fk" FOREIGN KEY ("tenant_id","source_id") REFERENCES "public"."sources"("tenant_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "packages_of_job" ON "packages" USING btree ("tenant_id","job_id");--> statement-breakpoint
CREATE INDEX "packages_newest" ON "packages" USING btree ("tenant_id","created_at","id");--> statement-breakpoint
CREATE INDEX "packages_of_source" ON "packages" USING btree ("tenant_id","source_id","created_at");--> statement-breakpoint
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_type" CHECK ("jobs"."type" in ('backup', 'restore', 'verify', 'ingest', 'preflight', 'browse', 'probe'));--> statement-breakpoint
ALTER TABLE "packages" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "packages" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY "own_workspace" ON "packages" FOR ALL TO xvault_app
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
--> statement-breakpoint
CREATE POLICY "platform" ON "packages" FOR ALL TO xvault_system USING (true) WITH CHECK (true);
