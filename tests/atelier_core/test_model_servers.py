"""What Triton and vLLM are told; the options are those of their own documents."""

from __future__ import annotations

from atelier_core.model_servers import MODEL_SERVERS, TRITON, VLLM, command, find


def test_triton_gets_its_repository_and_its_ports() -> None:
    assert command(TRITON, "reader", "/work/model", 30, 0, ["--log-verbose=1"]) == [
        "tritonserver", "--model-repository=/work/model", "--http-port=8000", "--grpc-port=8001",
        "--metrics-port=8002", "--exit-timeout-secs=30", "--log-verbose=1",
    ]  # fmt: skip


def test_vllm_is_called_as_the_service_is_and_spreads_over_its_accelerators() -> None:
    words = command(VLLM, "chat", "Qwen/Qwen3-0.6B", 30, 1, [])
    assert words == [
        "vllm", "serve", "Qwen/Qwen3-0.6B", "--served-model-name", "chat", "--host", "0.0.0.0", "--port", "8000",
    ]  # fmt: skip
    assert command(VLLM, "chat", "x", 30, 4, ["--max-model-len", "4096"]) == [
        "vllm", "serve", "x", "--served-model-name", "chat", "--host", "0.0.0.0", "--port", "8000",
        "--tensor-parallel-size", "4", "--max-model-len", "4096",
    ]  # fmt: skip


def test_the_gateway_leads_to_the_first_port() -> None:
    for name in MODEL_SERVERS:
        assert (find(name).ports[0].name, find(name).health[0]) == ("http", "/")
