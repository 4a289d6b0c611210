# The runtime image for a site's own registry: `docker build -f spawner/atelier_spawner/kubernetes/runtime.Dockerfile .`
# in the root of the repository. The test rig builds the same tree without a build daemon.
FROM python:3.12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends binutils
COPY spawner/atelier_spawner/kubernetes/runtime_image.py /build/
COPY hub/sdk/atelier_runtime /build/atelier_runtime
RUN python /build/runtime_image.py /root-of-image --package /build/atelier_runtime

FROM scratch
COPY --from=build /root-of-image /
USER 65534:65534
