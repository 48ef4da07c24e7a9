"""The transformer that `benchmarks.training` trains: GPT-2's shape, on a GPU or, small, on a CPU."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

HEAD_WIDTH = 64


@dataclass(frozen=True)
class Shape:
    """Size of a model and of what it gets: layers, width, tokens of a row, rows of a step, ids of the vocabulary."""

    layers: int
    width: int
    context: int
    batch: int
    vocabulary: int

    @property
    def heads(self) -> int:
        """Heads of each layer."""
        return max(1, self.width // HEAD_WIDTH)

    @property
    def tokens(self) -> int:
        """Tokens of a step."""
        return self.batch * self.context


GPU_SHAPE = Shape(layers=12, width=768, context=1024, batch=32, vocabulary=50_304)
"""GPT-2's smallest model, of 124 million parameters."""
CPU_SHAPE = Shape(layers=2, width=64, context=128, batch=8, vocabulary=8192)


class Block(nn.Module):
    """Causal attention, then two layers for each token."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width, self.heads = shape.width, shape.heads
        self.before_attention, self.before_layers = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.layers = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, width] → the same."""
        split = self.query_key_value(self.before_attention(x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        return x + self.layers(self.before_layers(x))


class GPT(nn.Module):
    """A decoder whose positions begin anew in every document; one matrix embeds and predicts."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.token = nn.Embedding(shape.vocabulary, shape.width)
        self.position = nn.Embedding(shape.context, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        nn.init.normal_(self.token.weight, std=0.02)
        nn.init.normal_(self.position.weight, std=0.02)

    def forward(self, tokens: Tensor, position_ids: Tensor) -> Tensor:
        """[B, T] each → logits [B, T, vocabulary]."""
        x = self.token(tokens) + self.position(position_ids)
        for block in self.blocks:
            x = block(x)
        return functional.linear(self.norm(x), self.token.weight)


class Trainer:
    """A model and its optimizer on a device, in bf16 on GPUs."""

    def __init__(self, shape: Shape, device: torch.device, compiled: bool = False) -> None:
        self.device = device
        torch.manual_seed(0)
        self.model = GPT(shape).to(device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=3e-4, fused=device.type == "cuda")
        self.forward = torch.compile(self.model) if compiled else self.model

    def moved(self, batch: dict) -> dict:
        """The batch's tensors on the device: through pinned memory, so that nobody waits for the copy."""
        return {name: self._moved(value) if isinstance(value, Tensor) else value for name, value in batch.items()}

    def _moved(self, value: Tensor) -> Tensor:
        if value.device.type == self.device.type:
            return value
        return value.pin_memory().to(self.device, non_blocking=True)

    def step(self, batch: dict) -> Tensor:
        """Train on a batch that is on the device; its losses [B, T], of which those of `loss_mask` count."""
        inputs, labels = batch["tokens"][:, :-1], batch["tokens"][:, 1:].long()
        mask = batch["loss_mask"]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            logits = self.forward(inputs, batch["position_ids"])
            losses = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
        losses = losses.view_as(labels)
        self.optimizer.zero_grad()
        ((losses * mask).sum() / mask.sum()).backward()
        self.optimizer.step()
        return losses.detach()

    def state(self) -> dict:
        """What a checkpoint has of it."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load(self, state: dict) -> None:
        """Go on from such a state."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
