ALTER TABLE "snapshots" DROP CONSTRAINT "snapshots_backend";--> statement-breakpoint
ALTER TABLE "snapshots" DROP COLUMN "storage_backend";--> statement-breakpoint
ALTER TABLE "snapshots" DROP COLUMN "local_path";--> statement-breakpoint
ALTER TABLE "snapshots" DROP COLUMN "bucket";--> statement-breakpoint
ALTER TABLE "snapshots" DROP COLUMN "object_key";