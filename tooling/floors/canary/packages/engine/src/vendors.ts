// caught by: vendor-home-db vendor-home-queue vendor-home-source vendor-home-crypto vendor-home-storage vendor-home-archive resolvable
import "drizzle-orm";
import "bullmq";
import "ssh2";
import "jose";
import "@aws-sdk/client-s3";
import "tar-stream";
