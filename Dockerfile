# docker build -t rljax . && docker run --rm -v "$PWD/runs:/rljax/runs" rljax
# For NVIDIA GPUs: docker build --build-arg EXTRAS=cuda12 ..., then docker run --gpus all ...
FROM python:3.12-slim

ARG EXTRAS=video
WORKDIR /rljax
COPY . .
RUN pip install --no-cache-dir -c constraints.txt -e ".[${EXTRAS}]"

ENTRYPOINT ["python", "experiments/run.py"]
CMD ["--preset", "cartpole_ppo"]
