# What llama-server needs besides its own libraries, on a Debian or Ubuntu image.
ARG FROM
FROM ${FROM}
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
      ca-certificates curl libgomp1 libssl3t64 libstdc++6 \
 && rm -rf /var/lib/apt/lists/*
