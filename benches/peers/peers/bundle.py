"""A split network and the images it is compared on."""

import json
import pathlib

import numpy as np
import onnx


class Bundle:
    """The parts of a bundle's manifest that a peer needs."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        manifest = json.loads((self.folder / "manifest.json").read_text())
        assert manifest["schema_version"] == 1, f"schema version {manifest['schema_version']}, expected 1"
        self.name, self.input, self.segments = manifest["name"], manifest["input"], manifest["segments"]
        self.logits = [exit["logits"] for exit in manifest["exits"]]
        self.names = [exit["name"] for exit in manifest["exits"]]
        self.classes = manifest["classes"]["count"]

    def path(self, segment):
        return self.folder / self.segments[segment]["file"]

    def load(self, segment):
        return onnx.load(self.path(segment))

    def images(self, file, limit):
        """Preprocessed images of an npz, each a batch of one in the network's own type and layout."""
        pixels = np.load(file)["x"][:limit]
        if self.input["dtype"] == "uint8":
            pixels = pixels if pixels.dtype == np.uint8 else np.round(pixels * 255).astype(np.uint8)
        else:
            low, high = self.input["range"]
            unit = pixels.astype(np.float32) / np.float32(255) if pixels.dtype == np.uint8 else pixels
            pixels = unit if (low, high) == (0, 1) else low + unit * np.float32(high - low)
            if self.input["mean"] is not None:
                mean, std = (np.asarray(self.input[key], np.float32).reshape(1, -1, 1, 1) for key in ("mean", "std"))
                pixels = (pixels - mean) / std
        if self.input["layout"] == "NHWC":
            pixels = pixels.transpose(0, 2, 3, 1)
        return [np.ascontiguousarray(image[None]) for image in pixels]


def confidence(logits):
    """The largest softmax probability of one row of logits, and its label: the lowest where several tie."""
    label = int(logits.argmax())
    return float(1 / np.exp(logits - logits[label]).sum()), label
