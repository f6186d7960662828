"""Small causal language models with random weights: folders, and ONNX files of each convention."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from profiler.generation.cache_export import BATCH, PAST, TOKENS, export_model
from profiler.generation.causal_models import cache_argument
from tests.real_models import as_onnx

VOCABULARY, POSITIONS, LAYERS, WIDTH, HEADS, CACHE_HEADS = 256, 128, 2, 32, 4, 2
# GroupQueryAttention takes heads of a multiple of 16.
GROUPED_WIDTH = 64


def gpt2() -> Any:
    """Two layers, 32 wide, learned positions."""
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=POSITIONS,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        bos_token_id=0,
        eos_token_id=1,
    )
    model: Any = GPT2LMHeadModel(config)
    return model.eval()


def llama() -> Any:
    """Two layers, 32 wide, rotary positions, two heads of keys for four of queries."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=CACHE_HEADS,
        max_position_embeddings=POSITIONS,
        bos_token_id=0,
        eos_token_id=1,
    )
    model: Any = LlamaForCausalLM(config)
    return model.eval()


MODELS = {"gpt2": gpt2, "llama": llama}
# Of a convention and a model's name; see tests/profiler/generation/conftest.py.
ModelFile = Callable[[str, str], Path]


def folder(where: Path, name: str) -> Path:
    """As `save_pretrained` writes it: config.json and model.safetensors."""
    path = where / name
    MODELS[name]().save_pretrained(path)
    return path


def optimum_file(where: Path, name: str) -> Path:
    """`past_key_values.0.key` and `present.0.key`."""
    path = where / f"{name}-optimum.onnx"
    export_model(MODELS[name](), path)
    return path


class Nested(torch.nn.Module):
    """All logits, and the cache as a list of pairs, whose names are left to the exporter."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, past: list[Any]
    ) -> tuple[Any, ...]:
        from transformers import DynamicCache

        cache: Any = DynamicCache(ddp_cache_data=[tuple(pair) for pair in past])
        found = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            use_cache=True,
            **{cache_argument(self.model): cache},
        )
        return (found.logits, *((layer.keys, layer.values) for layer in cache.layers))


def dynamo_file(where: Path, name: str) -> Path:
    """As PyTorch's exporter names a nested cache by itself: `past_0_0`, and outputs `cat_7`."""
    path = where / f"{name}-dynamo.onnx"
    heads = HEADS if name == "gpt2" else CACHE_HEADS
    auto: Any = torch.export.Dim.AUTO
    past = [
        tuple(torch.zeros(BATCH, heads, PAST, WIDTH // HEADS) for _ in range(2))
        for _ in range(LAYERS)
    ]
    example = (
        torch.zeros((BATCH, TOKENS), dtype=torch.int64),
        torch.ones((BATCH, PAST + TOKENS), dtype=torch.int64),
        past,
    )
    both = {0: auto, 1: auto}
    shapes: Any = (both, both, [({0: auto, 2: auto},) * 2] * LAYERS)
    with torch.no_grad():
        return as_onnx(Nested(MODELS[name]()).eval(), example, shapes, path)


def genai_file(where: Path) -> Path:
    """One decoder layer as onnxruntime-genai's builder lays it out: GroupQueryAttention.

    past and present have the same names as Optimum's; sequence lengths come from the mask.
    """
    head = GROUPED_WIDTH // HEADS
    random = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        values = random.standard_normal(shape) / np.sqrt(shape[0])
        return numpy_helper.from_array(values.astype(np.float32), name)

    angles = np.outer(np.arange(POSITIONS), 1 / 10000 ** (np.arange(0, head, 2) / head))
    weights = [
        weight("embedding", VOCABULARY, GROUPED_WIDTH),
        weight("query", GROUPED_WIDTH, GROUPED_WIDTH),
        weight("key", GROUPED_WIDTH, CACHE_HEADS * head),
        weight("value", GROUPED_WIDTH, CACHE_HEADS * head),
        weight("output", GROUPED_WIDTH, GROUPED_WIDTH),
        weight("head", GROUPED_WIDTH, VOCABULARY),
        numpy_helper.from_array(np.cos(angles).astype(np.float32), "cos_cache"),
        numpy_helper.from_array(np.sin(angles).astype(np.float32), "sin_cache"),
        numpy_helper.from_array(np.array([1], np.int64), "one"),
        numpy_helper.from_array(np.array(1, np.int64), "place"),
    ]
    node = helper.make_node
    nodes = [
        node("Gather", ["embedding", "input_ids"], ["hidden"]),
        node("MatMul", ["hidden", "query"], ["q"]),
        node("MatMul", ["hidden", "key"], ["k"]),
        node("MatMul", ["hidden", "value"], ["v"]),
        node("ReduceSum", ["attention_mask", "one"], ["lengths"], keepdims=0),
        node("Sub", ["lengths", "one"], ["last"]),
        node("Cast", ["last"], ["seqlens_k"], to=TensorProto.INT32),
        node("Shape", ["attention_mask"], ["mask_shape"]),
        node("Gather", ["mask_shape", "place"], ["total"], axis=0),
        node("Cast", ["total"], ["total_sequence_length"], to=TensorProto.INT32),
        node(
            "GroupQueryAttention",
            [
                *("q", "k", "v", "past_key_values.0.key", "past_key_values.0.value"),
                *("seqlens_k", "total_sequence_length", "cos_cache", "sin_cache"),
            ],
            ["attended", "present.0.key", "present.0.value"],
            domain="com.microsoft",
            num_heads=HEADS,
            kv_num_heads=CACHE_HEADS,
            do_rotary=1,
        ),
        node("MatMul", ["attended", "output"], ["mixed"]),
        node("Add", ["hidden", "mixed"], ["sum"]),
        node("MatMul", ["sum", "head"], ["logits"]),
    ]
    value = helper.make_tensor_value_info
    batch = "batch_size"
    cache: list[str | int | None] = [batch, CACHE_HEADS, "past_sequence_length", head]
    present: list[str | int | None] = ["batch_size", CACHE_HEADS, "total_sequence_length", head]
    graph = helper.make_graph(
        nodes,
        "genai",
        [
            value("input_ids", TensorProto.INT64, [batch, "sequence_length"]),
            value("attention_mask", TensorProto.INT64, [batch, "total_sequence_length"]),
            value("past_key_values.0.key", TensorProto.FLOAT, cache),
            value("past_key_values.0.value", TensorProto.FLOAT, cache),
        ],
        [
            value("logits", TensorProto.FLOAT, [batch, "sequence_length", VOCABULARY]),
            value("present.0.key", TensorProto.FLOAT, present),
            value("present.0.value", TensorProto.FLOAT, present),
        ],
        weights,
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    path = where / "genai.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path


def folder_with_words(where: Path, name: str) -> Path:
    """With a tokenizer of whole words, as a server needs it, and no token that ends a text."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from profiler.serving.prompts import WORDS

    path = where / f"{name}-words"
    model = MODELS[name]()
    model.generation_config.eos_token_id = None
    model.config.eos_token_id = None
    model.save_pretrained(path)
    words = list(dict.fromkeys(WORDS))
    words += [f"word{number}" for number in range(VOCABULARY - 1 - len(words))]
    vocabulary = {word: place for place, word in enumerate(["[UNK]", *words])}
    tokenizer: Any = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    made: Any = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]")
    made.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    made.save_pretrained(path)
    return path
