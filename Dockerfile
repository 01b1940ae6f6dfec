FROM node:24-bookworm-slim AS build
# For better-sqlite3, where its prebuilt file cannot be downloaded.
RUN apt-get update \
  && apt-get install -y --no-install-recommends build-essential python3 \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY . .
RUN npm ci && node scripts/image.mjs /image

FROM node:24-bookworm-slim
ENV NODE_ENV=production LISTEN=0.0.0.0 HTTP_PORT=8080 DATA_DIR=/data
WORKDIR /app
COPY --from=build /image ./
# For a volume, whose owner it gives. With PostgreSQL and a bucket nothing is written, and the root may be read-only.
RUN mkdir /data && chown 1000:1000 /data
# The image's user node: by number, so that Kubernetes can see that it is not root.
USER 1000:1000
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.HTTP_PORT}/healthz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# On a public address the service wants AUTH_TOKENS, or AUTH=off said outright. It handles signals as process 1.
CMD ["node", "--enable-source-maps", "dist/server/main.js"]
