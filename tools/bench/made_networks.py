"""Networks of the table of `runtime.py` that do not ship: shapes with random weights, exported by torch.

Speed needs no training: what counts is which operators there are, their sizes, and where zeros are.
"""

import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

VOCABULARY = 3000


def bert(hidden: int, layers: int, heads: int, inner: int) -> nn.Module:
    """An encoder of token ids with a mask, as transformers has it."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
    )
    return _Encoder(BertModel(config, add_pooling_layer=False))


class _Encoder(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


class _Scores(nn.Module):
    """A network of transformers that gives its scores alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(pixel_values=x).logits


def _classes() -> dict[int, str]:
    return {number: str(number) for number in range(1000)}


def resnet50() -> nn.Module:
    """ResNet-50 for 1000 classes."""
    from transformers import ResNetConfig, ResNetForImageClassification

    return _Scores(ResNetForImageClassification(ResNetConfig(id2label=_classes())))


def mobilenet_v2() -> nn.Module:
    """MobileNet v2 for 1000 classes."""
    from transformers import MobileNetV2Config, MobileNetV2ForImageClassification

    config = MobileNetV2Config(id2label=_classes(), tf_padding=False)
    return _Scores(MobileNetV2ForImageClassification(config))


class _Fire(nn.Module):
    def __init__(self, given: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(given, squeezed, 1)
        self.one, self.three = nn.Conv2d(squeezed, expanded, 1), nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.squeeze(x))
        return torch.cat([torch.relu(self.one(x)), torch.relu(self.three(x))], 1)


def squeezenet() -> nn.Module:
    """SqueezeNet 1.1."""
    pool = nn.MaxPool2d(3, 2, ceil_mode=True)
    fires = [(64, 16, 64), (128, 16, 64), (128, 32, 128), (256, 32, 128), (256, 48, 192), (384, 48, 192)]
    made = [_Fire(*sizes) for sizes in (*fires, (384, 64, 256), (512, 64, 256))]
    first = [nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool]
    last = [nn.Conv2d(512, 1000, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*first, *made[:2], pool, *made[2:4], pool, *made[4:], *last)


def _convolved(given: int, made: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(given, made, 3, stride, 1, bias=False), nn.BatchNorm2d(made), nn.SiLU()]


def detector() -> nn.Module:
    """The backbone and one head of a YOLO-like detector."""
    sizes = [(3, 16, 2), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2), (128, 128, 1)]
    layers = [layer for given, made, stride in sizes for layer in _convolved(given, made, stride)]
    return nn.Sequential(*layers, nn.Conv2d(128, 85, 1), nn.Sigmoid())


class _Gated(nn.Module):
    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.both = nn.Conv1d(channels, 2 * channels, 3, padding=dilation, dilation=dilation)
        self.out = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.both(x).chunk(2, 1)
        return x + self.out(torch.tanh(a) * torch.sigmoid(b))


def wavenet() -> nn.Module:
    """A WaveNet-like network over a second of samples in windows."""
    layers = [_Gated(32, 2**i) for i in range(6)]
    return nn.Sequential(nn.Conv1d(1, 32, 3, padding=1), *layers, nn.Conv1d(32, 64, 1), nn.ReLU())


MADE: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "minilm": (lambda: bert(384, 6, 12, 1536), (64,)),
    "bert-base": (lambda: bert(768, 12, 12, 3072), (128,)),
    "resnet50": (resnet50, (3, 224, 224)),
    "squeezenet": (squeezenet, (3, 224, 224)),
    "mobilenet_v2": (mobilenet_v2, (3, 224, 224)),
    "detector": (detector, (3, 320, 320)),
    "wavenet": (wavenet, (1, 2048)),
}


def made(name: str, folder: Path) -> Path:
    """The ONNX file of a network, exported where it is not there yet."""
    path = folder / f"{name}.onnx"
    if path.is_file():
        return path
    torch.manual_seed(0)
    build, shape = MADE[name]
    model = build().eval()
    ids = len(shape) == 1
    names = ["input_ids", "attention_mask"] if ids else ["x"]
    given = tuple(torch.ones(2, *shape, dtype=torch.long) if ids else torch.rand(2, *shape) for _ in names)
    batch = torch.export.Dim("batch")
    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            given,
            str(path),
            dynamo=True,
            input_names=names,
            output_names=["y"],
            dynamic_shapes=tuple({0: batch} for _ in names),
            external_data=False,
            verbose=False,
        )
    return path
