"""Seeded generators of gradient cases: an ONNX network, the same function written in PyTorch, what autograd says of it."""
