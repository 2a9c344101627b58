# SPDX-License-Identifier: MIT
#
# diplex alone: built in the first stage, and in the second one program, its four libraries and its file. libcurl is
# loaded at run time, so `ldd` does not show it; health checks and `diplex healthcheck` need it. It runs as an ordinary
# user, whichever, and writes only below /tmp: the admin socket, and bodies too large for memory.
#     docker build -t diplex .
#     docker run -p 8080:8080 -v ./diplex.yaml:/etc/diplex/diplex.yaml:ro diplex

ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        gcc libc6-dev cmake ninja-build pkg-config libevent-dev libc-ares-dev libcurl4-openssl-dev libyaml-dev
WORKDIR /diplex
COPY CMakeLists.txt CMakePresets.json LICENSE ./
COPY config config
COPY include include
COPY src src
RUN cmake --preset release -DCMAKE_INSTALL_PREFIX=/usr \
    && cmake --build build/release \
    && DESTDIR=/out cmake --install build/release --strip

FROM ${BASE}
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        libevent-core-2.1-7 libevent-extra-2.1-7 libc-ares2 libcurl4 libyaml-0-2 \
    && apt-get clean && rm -rf /var/lib/apt/lists/* \
    && useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin diplex
COPY --from=build /out/usr/bin/diplex /usr/bin/diplex
COPY config/diplex.yaml /etc/diplex/diplex.yaml
USER diplex
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s --retries=3 CMD ["diplex", "healthcheck"]
ENTRYPOINT ["diplex"]
CMD ["run"]
