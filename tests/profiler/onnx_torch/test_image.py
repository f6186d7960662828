"""Operators on images for which ONNX has no test of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import helper

from profiler.onnx_torch import import_onnx
from tests.profiler.onnx_torch import models

# image, left, top, right, bottom: inside, of one pixel, partly and wholly outside, turned around.
REGIONS = [
    [0, 1, 2, 14, 11],
    [1, 6, 6, 6, 6],
    [0, -5, -3, 9, 30],
    [1, 40, 40, 50, 50],
    [1, 9, 9, 3, 4],
    [0, 2.5, 3.5, 12.5, 7.1],
]


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_max_roi_pool_equals_onnx_runtime(scale: float, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    feeds = {
        "x": rng.standard_normal((2, 3, 10, 16)).astype(np.float32),
        "rois": np.array(REGIONS, np.float32),
    }
    nodes = [
        helper.make_node(
            "MaxRoiPool", ["x", "rois"], ["y"], pooled_shape=[3, 4], spatial_scale=scale
        )
    ]
    shapes = {name: list(array.shape) for name, array in feeds.items()}
    content = models.model_bytes(nodes, shapes, {"y": [len(REGIONS), 3, 3, 4]})
    path = models.write(content, tmp_path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, feeds)
    module = import_onnx(path)
    torch._dynamo.reset()
    for run in (module, torch.compile(module, backend="eager", fullgraph=True)):
        (found,) = run(*map(torch.from_numpy, feeds.values()))
        np.testing.assert_array_equal(found.numpy(), expected)
