ALTER TABLE "sources" ADD COLUMN "plan_key" text;--> statement-breakpoint
ALTER TABLE "sources" ADD COLUMN "plan_key_version" integer;