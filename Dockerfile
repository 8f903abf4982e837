FROM python:3.12-slim AS build
RUN pip install --no-cache-dir uv
WORKDIR /opt/modeltrail
COPY . .
RUN uv sync --frozen --no-dev --no-editable --no-cache --compile-bytecode

FROM python:3.12-slim
COPY --from=build /opt/modeltrail/.venv /opt/modeltrail/.venv
ENV PATH=/opt/modeltrail/.venv/bin:$PATH
USER 10001
ENTRYPOINT ["modeltrail"]
