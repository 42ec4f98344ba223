# Works with every builder, also the classic one: nothing needs BuildKit.

# The production dependencies, in their own stage so that the layer is reused when only src/ changes.
FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# Types, source maps, documents and tests of packages are a third of the size and never loaded. Licences stay.
# sodium-native has libraries for twelve other systems, 17 MB. Modes are set because files of a checkout made under a strict umask are readable by their owner only.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
 && find node_modules -type f \( -name '*.ts' -o -name '*.cts' -o -name '*.mts' -o -name '*.map' -o -name '*.test.js' -o -name '*.tsbuildinfo' -o -name '*.md' \) \
    ! -iname '*licen[cs]e*' -delete \
 && find node_modules -regextype posix-extended -type d \
    -regex '(.*/)?node_modules/(@[^/]+/)?[^@/][^/]*/(test|tests|docs|examples|benchmarks?|\.github)' -prune -exec rm -r {} + \
 && find node_modules/sodium-native/prebuilds -mindepth 1 -maxdepth 1 ! -name "linux-$(node -p process.arch)*" -exec rm -r {} + \
 && find node_modules -type d -empty -delete \
 && rm package-lock.json node_modules/.package-lock.json \
 && chmod -R u=rwX,go=rX .

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.mjs scripts/copy-assets.mjs scripts/
COPY src src
RUN npm run --silent build \
 && find dist -type f \( -name '*.map' -o -name '*.d.ts' \) -delete \
 && chmod -R u=rwX,go=rX dist \
 && chmod a+x dist/cli/cio-webhook.sh

FROM node:24-bookworm-slim
# A volume mounted at /keys gets this owner: docker-compose.yml stores the signing key in it. The link puts the commands
# on the PATH: `docker exec <container> cio-webhook consumers`.
RUN install -d -o node -g node -m 0700 /keys \
 && ln -s /app/dist/cli/cio-webhook.sh /usr/local/bin/cio-webhook
ENV NODE_ENV=production
WORKDIR /app
COPY --from=dependencies /app ./
COPY --from=build /app/dist dist
# The files belong to root, so that the service cannot change its own code.
USER node
# The second one is the console, which is off unless CONSOLE_PORT is set.
EXPOSE 3000 3100
STOPSIGNAL SIGTERM
# The script gives up after 2 s. The rest of the timeout is for its start on a busy machine.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
  CMD ["node", "/app/dist/ops/healthcheck.js"]
# A script with Node's options, which it replaces itself by: Node is PID 1.
ENTRYPOINT ["cio-webhook"]
CMD ["serve"]
# Last, because they differ in each build.
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="cio-webhook" \
      org.opencontainers.image.description="Receives Customer.io webhooks and appends clean events to a log in Redis" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.base.name="docker.io/library/node:24-bookworm-slim" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
