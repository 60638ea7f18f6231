ALTER TABLE "credentials" ADD COLUMN "bound_host" text;--> statement-breakpoint
ALTER TABLE "credentials" ADD COLUMN "bound_port" integer;