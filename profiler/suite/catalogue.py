"""Which models the suite measures: what builds each, and its inputs. Nothing is downloaded."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from profiler.errors import PlanError
from profiler.types import Fill, InputSpec

BERT_VOCABULARY = 30_522


class SuiteModel(Struct, frozen=True, kw_only=True):
    """A model with random weights, of a `transformers` configuration.

    `model_class` and `config_class` are names in `transformers`; `config` is what differs from that
    class's own defaults, which are those of the published model. A model without inputs generates
    text: `prompt_tokens`, then `new_tokens` (`quick_tokens` in a quick suite).
    """

    key: str
    title: str
    model_class: str
    config_class: str
    workload: str
    config: dict[str, Any] = {}
    inputs: tuple[InputSpec, ...] = ()
    prompt_tokens: int = 0
    new_tokens: int = 0
    quick_tokens: int = 0

    @property
    def generates(self) -> bool:
        """Whether it is measured by generating text."""
        return not self.inputs


def _image(size: int) -> tuple[InputSpec, ...]:
    symbols = ("batch", None, None, None)
    shape = (1, 3, size, size)
    return (InputSpec(name="pixel_values", dtype="float32", shape=shape, symbols=symbols),)


def _ids(length: int, vocabulary: int) -> tuple[InputSpec, ...]:
    return (
        InputSpec(
            name="input_ids",
            dtype="int64",
            shape=(1, length),
            symbols=("batch", "sequence"),
            fill=Fill.INTEGERS,
            high=vocabulary,
            limit=vocabulary,
        ),
    )


CATALOGUE = (
    SuiteModel(
        key="resnet-50",
        title="ResNet-50",
        model_class="ResNetForImageClassification",
        config_class="ResNetConfig",
        workload="image 224 x 224, batch 1, fp32",
        inputs=_image(224),
    ),
    SuiteModel(
        key="bert-base",
        title="BERT-base",
        model_class="BertModel",
        config_class="BertConfig",
        workload="128 tokens, batch 1, fp32",
        inputs=_ids(128, BERT_VOCABULARY),
    ),
    SuiteModel(
        key="vit-base",
        title="ViT-base",
        model_class="ViTForImageClassification",
        config_class="ViTConfig",
        workload="image 224 x 224, batch 1, fp32",
        inputs=_image(224),
    ),
    SuiteModel(
        key="gpt-2",
        title="GPT-2",
        model_class="GPT2LMHeadModel",
        config_class="GPT2Config",
        workload="batch 1, fp32",
        prompt_tokens=64,
        new_tokens=16,
        quick_tokens=8,
    ),
)


def chosen(keys: list[str]) -> tuple[SuiteModel, ...]:
    """The models with these keys, in the catalogue's order; all of them for none.

    Raises PlanError for a key that there isn't.
    """
    known = {model.key: model for model in CATALOGUE}
    unknown = [key for key in keys if key not in known]
    if unknown:
        raise PlanError(f"The suite has no model {unknown[0]!r}.", f"It has: {', '.join(known)}.")
    return tuple(model for model in CATALOGUE if not keys or model.key in keys)
