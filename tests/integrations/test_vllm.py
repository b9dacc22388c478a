"""vLLM's own scheduler, without a GPU: what it decides is recorded, and stays the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.own_events import OwnEvents
from whence.model.event import TraceEvent
from whence.model.recording import Recording
from whence.query.contracts.verify import verify
from whence.query.why import why

torch = pytest.importorskip("torch", reason="torch is not installed")
vllm = pytest.importorskip("vllm", reason="vllm is not installed")

BLOCK = 16


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The configuration of a tiny model; its weights are never asked for."""
    config = {
        "architectures": ["OPTForCausalLM"], "model_type": "opt", "hidden_size": 64,
        "num_attention_heads": 4, "num_hidden_layers": 2, "ffn_dim": 64, "vocab_size": 128,
        "max_position_embeddings": 512, "word_embed_proj_dim": 64, "torch_dtype": "float16",
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def test_a_request_from_the_queue_to_its_end_keeps_the_inference_contract(model: Path) -> None:
    """Admitted, scheduled, started, completed: the chain is whole, and why tells it. R5.23"""
    recorded = OwnEvents()
    scheduler = made(model)
    scheduler.add_request(request("r-1", 40, most=3))
    run(scheduler)
    source = Recording(events=tuple(recorded()))
    (verdict,) = verify(source).contracts
    assert (verdict.contract, verdict.chains, verdict.complete) == ("inference", 1, 1)
    answer = why(source, "r-1")
    assert [row.event_type for row in answer.story] == [
        "request_queued", "admission_decision", "scheduling_decision", "execution_started",
        "execution_completed",
    ]  # fmt: skip
    done = one(recorded(), "execution_completed")
    assert (done.attributes["output_tokens"], done.attributes["reason"]) == (3, "length_capped")


def test_who_was_not_chosen_is_an_option_with_the_reason(model: Path) -> None:
    """More requests than seats, or than the step has tokens: the options say which. R5.23"""
    recorded = OwnEvents()
    scheduler = made(model, seats=2)
    for at in range(3):
        scheduler.add_request(request(f"seat-{at}", 20))
    scheduler.schedule()
    told = options_of(recorded(), "seat-0")
    assert told["seat-0"].chosen
    assert told["seat-2"].reason == "2 of 2 requests run"
    assert told["seat-2"].scores["tokens_left"] == 20

    recorded = OwnEvents()
    scheduler = made(model, tokens=64)
    for at in range(3):
        scheduler.add_request(request(f"token-{at}", 40))
    scheduler.schedule()
    assert options_of(recorded(), "token-0")["token-2"].reason == "the step's 64 tokens are used"


def test_a_request_that_finds_no_blocks_is_told_as_that(model: Path) -> None:
    """What the block manager refused is the reason, also of those behind. R5.23"""
    recorded = OwnEvents()
    scheduler = made(model, blocks=6)
    for at in range(3):
        scheduler.add_request(request(f"block-{at}", 40))
    scheduler.schedule()
    told = options_of(recorded(), "block-0")
    assert told["block-1"].reason == "found no KV blocks"
    assert told["block-2"].reason == "behind block-1, which found no KV blocks"


def test_a_preemption_says_for_whom_and_who_kept_running(model: Path) -> None:
    """Two that grow in too few blocks: one is put back, named with the one in need. R5.23"""
    recorded = OwnEvents()
    scheduler = made(model, blocks=7)
    scheduler.add_request(request("grow-0", 30, most=60))
    scheduler.add_request(request("grow-1", 60, most=20))
    run(scheduler)
    events = recorded()
    first = next(event for event in events if event.event_type == "preemption_decision")
    assert first.request_id == "grow-1"
    assert "grow-0 found no KV blocks" in first.rationale
    assert {option.name: option.chosen for option in first.options} == {
        "grow-1": True, "grow-0": False
    }  # fmt: skip
    resumed = [
        event for event in events
        if event.event_type == "scheduling_decision" and event.rationale.startswith("Resumed")
    ]  # fmt: skip
    assert {event.request_id for event in resumed} == {"grow-1"}
    ended = [event for event in events if event.event_type == "execution_completed"]
    assert {event.request_id for event in ended} == {"grow-0", "grow-1"}
    assert verify(Recording(events=tuple(events))).contracts[0].complete == 2


def test_an_aborted_request_ends_with_a_fault(model: Path) -> None:
    """Aborts while waiting and while running are told apart. R5.23"""
    from vllm.v1.request import RequestStatus

    recorded = OwnEvents()
    scheduler = made(model, seats=1)
    for at in range(2):
        scheduler.add_request(request(f"gone-{at}", 20))
    scheduler.schedule()
    scheduler.finish_requests(["gone-0", "gone-1"], RequestStatus.FINISHED_ABORTED)
    faults = {e.request_id: e.rationale for e in recorded() if e.event_type == "fault_recorded"}
    assert faults == {
        "gone-0": "Ended as aborted while it ran", "gone-1": "Ended as aborted while it waited"
    }  # fmt: skip


def test_a_deadline_that_came_with_the_request_is_judged(model: Path) -> None:
    """`deadline_ms` among the extra arguments: past it, the deadline is missed. R5.23"""
    recorded = OwnEvents()
    scheduler = made(model)
    scheduler.add_request(request("late", 20, deadline_ms=0))
    scheduler.add_request(request("early", 20, deadline_ms=10_000_000))
    run(scheduler)
    met = {
        event.request_id: event.attributes["deadline_met"]
        for event in recorded()
        if event.event_type == "execution_completed"
    }
    assert met == {"late": False, "early": True}


def test_the_traced_scheduler_decides_as_the_one_it_watches(model: Path) -> None:
    """Step by step both give the same tokens to the same requests. R5.23"""
    from vllm.v1.core.sched.scheduler import Scheduler

    def steps(scheduler: Any) -> list[dict[str, int]]:
        for at in range(6):
            scheduler.add_request(request(f"same-{at}", 20 + 7 * at, most=10))
        return run(scheduler)

    assert steps(made(model, blocks=14, tokens=64)) == steps(
        made(model, blocks=14, tokens=64, kind=Scheduler)
    )


def test_vllm_finds_the_schedulers_by_their_names(model: Path) -> None:
    """--scheduler-cls takes the names as they stand in the page. R5.23"""
    from vllm.v1.core.sched.async_scheduler import AsyncScheduler
    from vllm.v1.core.sched.scheduler import Scheduler

    for name, base in (("TracedScheduler", Scheduler), ("TracedAsyncScheduler", AsyncScheduler)):
        config = vllm.config.SchedulerConfig(
            max_model_len=512, is_encoder_decoder=False,
            scheduler_cls=f"whence.integrations.vllm.{name}",
        )  # fmt: skip
        found = config.get_scheduler_cls()
        assert issubclass(found, base)
        assert found.__name__ == name


def made(
    model: Path, *, seats: int = 16, tokens: int = 512, blocks: int = 1_000, kind: Any = None
) -> Any:
    """A scheduler over so many blocks, as vLLM's engine makes one."""
    from vllm.config import CacheConfig, ModelConfig, SchedulerConfig, VllmConfig
    from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheConfig, KVCacheGroupSpec
    from vllm.v1.structured_output import StructuredOutputManager

    from whence.integrations.vllm import TracedScheduler

    config = VllmConfig(
        model_config=ModelConfig(
            model=str(model), skip_tokenizer_init=True, dtype="float16", max_model_len=512
        ),
        scheduler_config=SchedulerConfig(
            max_num_seqs=seats, max_num_batched_tokens=tokens, max_model_len=512,
            enable_chunked_prefill=True, is_encoder_decoder=False, async_scheduling=False,
            scheduler_reserve_full_isl=False,
        ),
        cache_config=CacheConfig(block_size=BLOCK, enable_prefix_caching=False),
        device_config=vllm.config.DeviceConfig("cpu"),
    )  # fmt: skip
    config.cache_config.num_gpu_blocks = blocks
    spec = FullAttentionSpec(block_size=BLOCK, num_kv_heads=1, head_size=1, dtype=torch.float32)
    return (kind or TracedScheduler)(
        vllm_config=config,
        kv_cache_config=KVCacheConfig(
            num_blocks=blocks,
            kv_cache_tensors=[],
            kv_cache_groups=[KVCacheGroupSpec(["layer"], spec)],
        ),
        structured_output_manager=StructuredOutputManager(config),
        block_size=BLOCK,
    )


def request(name: str, prompt: int, most: int = 3, deadline_ms: int | None = None) -> Any:
    """A request with so many tokens of prompt."""
    from vllm import SamplingParams
    from vllm.v1.request import Request

    extra = None if deadline_ms is None else {"deadline_ms": deadline_ms}
    return Request(
        request_id=name,
        prompt_token_ids=[7] * prompt,
        sampling_params=SamplingParams(max_tokens=most, ignore_eos=True, extra_args=extra),
        pooling_params=None,
    )


def run(scheduler: Any) -> list[dict[str, int]]:
    """Steps until nobody is left, with a model that says 7; what each step scheduled."""
    from vllm.v1.outputs import ModelRunnerOutput

    steps = []
    while scheduler.has_requests() and len(steps) < 1_000:
        output = scheduler.schedule()
        steps.append(dict(output.num_scheduled_tokens))
        names = list(output.num_scheduled_tokens)
        told = [
            [7] if scheduler.requests[name].num_computed_tokens
            >= scheduler.requests[name].num_tokens else []
            for name in names
        ]  # fmt: skip
        scheduler.update_from_output(
            output,
            ModelRunnerOutput(
                req_ids=names,
                req_id_to_index={name: at for at, name in enumerate(names)},
                sampled_token_ids=told,
                pooler_output=[],
            ),
        )
    return steps


def options_of(events: list[TraceEvent], name: str) -> dict[str, Any]:
    """The options of the first decision to schedule a request, by their names."""
    decided = next(
        event for event in events
        if event.event_type == "scheduling_decision" and event.request_id == name
    )  # fmt: skip
    return {option.name: option for option in decided.options}


def one(events: list[TraceEvent], event_type: str) -> TraceEvent:
    (found,) = [event for event in events if event.event_type == event_type]
    return found
