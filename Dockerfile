# The page on the embedded demo, made while the image is built; `--target tool` is the tool without it. docs/docker.md
FROM python:3.11-slim-bookworm AS tool
RUN useradd --uid 10001 --user-group --create-home atlas && install --directory --owner atlas --group atlas /atlas /data
USER 10001:10001
WORKDIR /atlas
ENV PATH=/atlas/.venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    ATLAS_CACHE=/data/cache ATLAS_DB=/data/atlas.db

# Libraries first: they stay when only the code changes. TORCH_INDEX: an index that has PyTorch's CPU build.
ARG EXTRAS=demo,postgres
ARG TORCH_INDEX=
COPY --chown=10001:10001 constraints.txt pyproject.toml README.md LICENSE ./
RUN python -m venv .venv \
    && if [ -n "$TORCH_INDEX" ]; then \
           pip install -c constraints.txt --no-deps --index-url "$TORCH_INDEX" torch torchaudio; \
       fi \
    && pip install -c constraints.txt ".[$EXTRAS]" \
    && pip install -c constraints.txt --no-deps tinysoundfont
COPY --chown=10001:10001 . .
RUN pip install --no-deps --editable .

EXPOSE 8501
HEALTHCHECK --start-period=30s --timeout=10s CMD \
    ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8501/_stcore/health', timeout=5)"]
# On all of the container's addresses; which of the host's lead there is said by who publishes the port.
CMD ["streamlit", "run", "dashboard/app.py", "--server.address=0.0.0.0"]

FROM tool AS demo
RUN python run_analysis.py --tasks all --db /data/atlas.db
