"""ONNX operators by family; every file here is loaded."""
