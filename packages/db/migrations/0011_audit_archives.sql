CREATE TABLE "audit_archives" (
	"tenant_id" uuid NOT NULL,
	"snapshot_id" uuid NOT NULL,
	"from_seq" bigint NOT NULL,
	"through_seq" bigint NOT NULL,
	"prev_hash" text NOT NULL,
	"hash" text NOT NULL,
	"first_at" timestamp (3) with time zone NOT NULL,
	"last_at" timestamp (3) with time zone NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "audit_archives_pk" PRIMARY KEY("tenant_id","snapshot_id")
);
--> statement-breakpoint
ALTER TABLE "jobs" DROP CONSTRAINT "jobs_type";--> statement-breakpoint
ALTER TABLE "sources" DROP CONSTRAINT "sources_kind";--> statement-breakpoint
ALTER TABLE "audit_archives" ADD CONSTRAINT "audit_archives_snapshot_fk" FOREIGN KEY ("tenant_id","snapshot_id") REFERENCES "public"."snapshots"("tenant_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "audit_archives_newest" ON "audit_archives" USING btree ("tenant_id","through_seq");--> statement-breakpoint
CREATE UNIQUE INDEX "sources_audit" ON "sources" USING btree ("tenant_id") WHERE "sources"."kind" = 'audit';--> statement-breakpoint
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_type" CHECK ("jobs"."type" in ('backup', 'restore', 'verify', 'drill', 'transfer', 'expire', 'ingest', 'audit_archive', 'preflight', 'browse', 'probe', 'quote', 'storage_test'));--> statement-breakpoint
ALTER TABLE "sources" ADD CONSTRAINT "sources_kind" CHECK ("sources"."kind" in ('ssh', 'edge', 'audit'));
--> statement-breakpoint
ALTER TABLE "audit_archives" ENABLE ROW LEVEL SECURITY;
--> statement-breakpoint
ALTER TABLE "audit_archives" FORCE ROW LEVEL SECURITY;
--> statement-breakpoint
CREATE POLICY "own_workspace" ON "audit_archives" FOR ALL TO xvault_app
  USING (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
