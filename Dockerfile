# The directory (with the pages inside) and the relay, in one small image. No syntax that only BuildKit knows.

FROM node:20-bookworm-slim AS pages
WORKDIR /src/ui
COPY ui/package.json ui/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY ui/ ./
COPY protocol/vectors/ ../protocol/vectors/
RUN npm run build

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock rustfmt.toml ./
COPY .cargo/ .cargo/
COPY protocol/ protocol/
COPY service/ service/
COPY spawner/ spawner/
COPY webtransport/ webtransport/
COPY directory/ directory/
COPY relay/ relay/
# The other members of the workspace are not built here and would only bring their system packages.
RUN sed -i 's/^members = .*/members = ["protocol", "service", "spawner", "webtransport", "directory", "relay"]/; /^default-members/d; /^broadcaster = /d' Cargo.toml
COPY --from=pages /src/ui/dist/ ui/dist/
RUN cargo build --release -p directory -p relay && mkdir /out && cp target/release/directory target/release/relay /out/

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl && rm -rf /var/lib/apt/lists/* \
  && useradd --system --uid 10001 --home-dir /data dead-streaming && install -d -o dead-streaming -m 0700 /data /data/tls
COPY --from=build /out/ /usr/local/bin/
USER dead-streaming
WORKDIR /data
# So that `docker compose exec directory directory pass add NAME` finds the directory's token, too.
ENV DIRECTORY_DATA_DIR=/data RELAY_DATA_DIR=/data
VOLUME /data
EXPOSE 5000 5001 5002 5001/udp 5002/udp
CMD ["directory"]
