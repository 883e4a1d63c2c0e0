# An image for jobs that start a shell, as GitLab's and Jenkins's do: vault, the AWS CLI, git, jq, bash.
# No entrypoint, since such runners bring their own command.
#
#   docker build -f docker/Dockerfile -t vault .
#   docker build -f docker/pipeline.Dockerfile -t vault-pipeline .
ARG VAULT_IMAGE=vault
ARG BASE_IMAGE=docker.io/library/debian:bookworm-slim

FROM ${VAULT_IMAGE} AS vault

# The AWS CLI of PyPI: Debian 12's is too old for AWS_ENDPOINT_URL and for a credentials server's token
# file.
FROM ${BASE_IMAGE} AS aws
COPY docker/pipeline.txt /tmp/
LABEL vault.stage=build
RUN apt-get -q update \
    && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends python3-venv \
    && python3 -m venv --without-pip /opt/aws \
    && python3 -m venv /tmp/pip \
    && /tmp/pip/bin/pip --python /opt/aws/bin/python install --no-cache-dir --no-compile --no-deps \
        --only-binary :all: --require-hashes -r /tmp/pipeline.txt

FROM ${BASE_IMAGE}
RUN apt-get -q update \
    && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends \
        bash ca-certificates git jq openssh-client python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
COPY --from=aws /opt/aws /opt/aws
COPY --from=vault /usr/local/bin/ /usr/local/bin/
RUN ln -s /opt/aws/bin/aws /usr/local/bin/aws \
    && mkdir -p /usr/local/share/man/man1 \
    && vault man --dir /usr/local/share/man/man1 \
    && groupadd --gid 65532 vault \
    && useradd -K UID_MAX=65532 --uid 65532 --gid 65532 --create-home --shell /bin/bash vault
LABEL org.opencontainers.image.title="vault-pipeline" \
    org.opencontainers.image.description="vault, AWS CLI, git, jq and bash for CI jobs" \
    org.opencontainers.image.licenses="MIT"
# By numbers: Kubernetes' runAsNonRoot believes no name.
USER 65532:65532
CMD ["bash"]
