"""One rank reads for its group: its messages go to the others by broadcast, as numbers and Arrow bytes, not pickled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
import torch.distributed

import mixtera.errors
from mixtera.adapters.torch.messages import Failure, Message
from mixtera.errors import MixteraError

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

_END: Final = 0
_MESSAGE: Final = 1
_FAILURE: Final = 2
_REFUSALS: Final = ("SampleError", "StorageError", "PlanError", "StateError", "JobError", "ServiceError")
"""Errors that the others raise as they are; anything else becomes a MixteraError."""


def shared(messages: Iterator[Message | Failure], group: ProcessGroup) -> Iterator[Message | Failure]:
    """Messages of the rank that reads, each sent to the others before it is given on."""
    while True:
        try:
            message = next(messages, None)
        except BaseException as error:  # the others must not wait for what does not come
            _send(group, _FAILURE, _told(error))
            raise
        match message:
            case None:
                _send(group, _END)
                return
            case Failure():
                _send(group, _FAILURE, _told(message.error))
            case Message():
                _send(group, _MESSAGE, message.samples, message.step, message.turn)
        yield message


def received(group: ProcessGroup) -> Iterator[Message | Failure]:
    """What the first rank of a group sends, on the others."""
    while True:
        header = torch.empty(4, dtype=torch.int64)
        _broadcast(header, group)
        kind, size, step, turn = header.tolist()
        if kind == _END:
            return
        content = torch.empty(size, dtype=torch.uint8)
        _broadcast(content, group)
        payload = content.numpy().tobytes()
        yield Message(step, payload, turn) if kind == _MESSAGE else Failure(_understood(payload))


def _send(group: ProcessGroup, kind: int, payload: bytes = b"", step: int = 0, turn: int = 1) -> None:
    _broadcast(torch.tensor([kind, len(payload), step, turn]), group)
    if kind != _END:
        _broadcast(torch.from_numpy(np.frombuffer(payload, np.uint8).copy()), group)


def _broadcast(numbers: torch.Tensor, group: ProcessGroup) -> None:
    torch.distributed.broadcast(numbers, group=group, group_src=0)


def _told(error: BaseException) -> bytes:
    return json.dumps([type(error).__name__, str(error) or type(error).__name__]).encode()


def _understood(payload: bytes) -> MixteraError:
    name, text = json.loads(payload)
    kind: type[MixteraError] = getattr(mixtera.errors, name) if name in _REFUSALS else MixteraError
    return kind(f"the rank that reads for this one failed: {text}")
