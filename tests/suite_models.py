"""The suite's models in small: the same code, a few thousand weights."""

from __future__ import annotations

from profiler.suite.catalogue import SuiteModel
from profiler.types import Fill, InputSpec

VOCABULARY = 100


def _image() -> tuple[InputSpec, ...]:
    symbols = ("batch", None, None, None)
    shape = (1, 3, 32, 32)
    return (InputSpec(name="pixel_values", dtype="float32", shape=shape, symbols=symbols),)


SMALL = (
    SuiteModel(
        key="resnet-50",
        title="ResNet-50",
        model_class="ResNetForImageClassification",
        config_class="ResNetConfig",
        config={"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "num_labels": 4},
        workload="image 32 x 32",
        inputs=_image(),
    ),
    SuiteModel(
        key="bert-base",
        title="BERT-base",
        model_class="BertModel",
        config_class="BertConfig",
        config={
            "vocab_size": VOCABULARY,
            "hidden_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 64,
        },
        workload="16 tokens",
        inputs=(
            InputSpec(
                name="input_ids",
                dtype="int64",
                shape=(1, 16),
                symbols=("batch", "sequence"),
                fill=Fill.INTEGERS,
                high=VOCABULARY,
                limit=VOCABULARY,
            ),
        ),
    ),
    SuiteModel(
        key="vit-base",
        title="ViT-base",
        model_class="ViTForImageClassification",
        config_class="ViTConfig",
        config={
            "hidden_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            "image_size": 32,
            "patch_size": 16,
        },
        workload="image 32 x 32",
        inputs=_image(),
    ),
    SuiteModel(
        key="gpt-2",
        title="GPT-2",
        model_class="GPT2LMHeadModel",
        config_class="GPT2Config",
        config={
            "vocab_size": VOCABULARY,
            "n_embd": 32,
            "n_layer": 1,
            "n_head": 2,
            "n_positions": 64,
            "bos_token_id": 0,
            "eos_token_id": 1,
        },
        workload="batch 1",
        prompt_tokens=8,
        new_tokens=4,
        quick_tokens=3,
    ),
)
