"""The released code's model, training and ranking, re-stated as the other side of benchmarks/finetuning.py.

The model has a LayerNorm after the last block and one for each modality at the output. A single item stands at the
first position. Absent modalities are not read. Places are numbered from the left of a padded batch.

Everything is float32. Batches are made from Python lists and padded to their longest sequence. Features are transformed
again for every token of a batch. All tokens pass through all of torch's encoder layers and through pooling, and then
the masked tokens are selected. All logits of a batch are one matrix. The vectors of all items are computed again for
every batch, also in an evaluation. A rank is the place of the target in the argsort of all scores.
"""

import copy
from collections.abc import Iterable, Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

from mmsrec.evaluation.evaluate import TEST
from mmsrec.models.mmsrec import MMSRec
from mmsrec.nn.dropout import Dropout
from mmsrec.nn.objectives import Task
from mmsrec.nn.training_sequences import examples
from mmsrec.nn.transformer import Transformer
from mmsrec.nn.user_sequences import Sequences
from mmsrec.settings.trainer import Trainer
from mmsrec.training.runtime import generator_of

EVALUATED = 1024  # users of a batch


def in_float32(model: MMSRec) -> MMSRec:
    """A copy whose matrix products run in float32."""
    twin = copy.deepcopy(model)
    twin.precision = torch.float32
    twin.sequences = replace(twin.sequences, precision=torch.float32)
    return twin


class Released:
    """The released code's model and its way to compute, from the weights of a model of ours with its settings.

    Args:
        model: whose weights are copied; its positions count from the end.
        trainer: settings of the training.
        sequences: trained on.
    """

    def __init__(self, model: MMSRec, trainer: Trainer, sequences: Sequences) -> None:
        self.model, self._trainer = in_float32(model), trainer
        for part in list(self.model.modules()):
            for name, child in part.named_children():
                if isinstance(child, Dropout):
                    setattr(part, name, nn.Dropout(child.probability))
        settings, encoder = self.model.settings, self.model.encoder
        # Part of the model, so that it follows its mode; its weights are the model's own.
        encoder.layers = _torch_layers(encoder.transformer, settings.heads, settings.hidden_dropout)
        # Their table of positions is ours, turned round.
        self._last = trainer.max_length - 1
        rates = {"lr": trainer.learning_rate, "weight_decay": trainer.weight_decay}
        self._optimizer = torch.optim.AdamW(self.model.parameters(), **rates)
        self._vectors = {name: feature.vectors_IF for name, feature in self.model.features.items()}
        chosen, items = examples(sequences, trainer.augment, trainer.max_length), sequences.items_A.tolist()
        starts_E = torch.maximum(sequences.offsets_U1[chosen.users_E], chosen.ends_E - trainer.max_length)
        bounds = zip(starts_E.tolist(), chosen.ends_E.tolist(), strict=True)
        self._windows = [items[start:end] for start, end in bounds]

    def batches(self, seed: int, epoch: int) -> Iterator[Task]:
        """The epoch's steps, with the same sequences and hidden items as `Batches` has for this key."""
        model, trainer = self.model, self._trainer
        order = torch.randperm(len(self._windows), generator=generator_of(seed, epoch)).tolist()
        loader = DataLoader(self._windows, trainer.batch_size, sampler=order, collate_fn=self._padded)
        for number, windows_BL in enumerate(loader, start=1):
            whole_BN = F.pad(windows_BL, (trainer.max_length - windows_BL.shape[1], 0), value=model.absent)
            task = model.objective(whole_BN, model.items, generator_of(seed, epoch, number))
            longest = int((task.inputs_BL != model.absent).sum(1).max())
            yield Task(*(part[:, -longest:].to(self._device) for part in task))

    def step(self, task: Task) -> float:
        """One step of the optimiser; returns the mean loss."""
        settings = self.model.settings
        self._optimizer.zero_grad()
        logits_PI = self._queries(task.inputs_BL, task.predicted_BL) @ self.items().T / settings.temperature
        loss = F.cross_entropy(logits_PI, task.targets_BL[task.predicted_BL])
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self._trainer.clip_norm)
        self._optimizer.step()
        return loss.item()

    def items(self) -> Tensor:
        """The vectors [I, D] of all items."""
        tokens_IMD, read_IM = self._tokens(torch.arange(self.model.items, device=self._device))
        return self._pooled(tokens_IMD[:, None], read_IM[:, None])[:, 0]

    def histories(self, sequences: Sequences) -> list[list[int]]:
        """The items of each user that the model reads before the test item."""
        longest, hidden = self.model.longest_history, [self.model.mask]
        items = sequences.items_A.tolist()
        bounds = zip(sequences.offsets_U1.tolist(), sequences.ends(TEST).tolist(), strict=False)
        return [items[max(start, end - longest) : end] + hidden for start, end in bounds]

    def scores(self, histories: list[list[int]]) -> Iterator[Tensor]:
        """Scores [B, I] of all items, batch by batch."""
        for inputs_BL in DataLoader(histories, EVALUATED, collate_fn=self._padded):
            inputs_BL = inputs_BL.to(self._device)
            last_BL = torch.zeros_like(inputs_BL, dtype=torch.bool)
            last_BL[:, -1] = True
            yield self._queries(inputs_BL, last_BL) @ self.items().T

    @property
    def _device(self) -> torch.device:
        return self.model.encoder.embedding.norm.weight.device

    def _padded(self, windows: list[list[int]]) -> Tensor:
        rows = [torch.tensor(window) for window in windows]
        return pad_sequence(rows, batch_first=True, padding_value=self.model.absent, padding_side="left")

    def _tokens(self, items_N: Tensor) -> tuple[Tensor, Tensor]:
        """The tokens [N, M, D] of items or [mask], and which of them are read [N, M]."""
        embedding, is_item_N = self.model.encoder.embedding, items_N < self.model.items
        rows_N = items_N.clamp(max=self.model.items - 1)
        features = [
            embedding.project_norm[name](embedding.project[name](vectors_IF[rows_N]))
            for name, vectors_IF in self._vectors.items()
        ]
        present = [feature.present_I[rows_N] & is_item_N for feature in self.model.features.values()]
        shown_NM = torch.stack(present, dim=1)
        # A [mask] has a token of each modality. So has an item without any, which the released data never has.
        return embedding.tokens(features, shown_NM), shown_NM | ~shown_NM.any(1, keepdim=True)

    def _queries(self, inputs_BL: Tensor, predicted_BL: Tensor) -> Tensor:
        exists_BL = inputs_BL != self.model.absent
        tokens_NMD, read_NM = self._tokens(inputs_BL.flatten())
        read_BLM = read_NM.unflatten(0, inputs_BL.shape) & exists_BL[..., None]
        return self._pooled(tokens_NMD.unflatten(0, inputs_BL.shape), read_BLM)[predicted_BL]

    def _pooled(self, tokens_BLMD: Tensor, read_BLM: Tensor) -> Tensor:
        """Vectors [B, L, D] of every place; the first place has the first position."""
        encoder, shape = self.model.encoder, tokens_BLMD.shape
        positions_L = self._last - torch.arange(shape[1], device=self._device)
        embedded_BTD = encoder.embedding(tokens_BLMD, positions_L).flatten(1, 2)
        hidden_BLMD = encoder.layers(embedded_BTD, src_key_padding_mask=~read_BLM.flatten(1)).view(shape)
        columns = [
            encoder.output_norm[name](layer(hidden_BLMD[:, :, index]))
            for index, (name, layer) in enumerate(encoder.output.items())
        ]
        projected_BLMD = torch.where(read_BLM[..., None], torch.stack(columns, dim=2), -1e4)
        return F.normalize(projected_BLMD.amax(2), dim=-1)


def _torch_layers(transformer: Transformer, heads: int, dropout: float) -> nn.TransformerEncoder:
    """torch's encoder, whose weights are those of our transformer: the same function when nothing is dropped."""
    first = transformer.blocks[0]
    layer = nn.TransformerEncoderLayer(
        *(first.expand.in_features, heads, first.expand.out_features, dropout), activation="gelu", batch_first=True
    )
    layers = nn.TransformerEncoder(
        layer, len(transformer.blocks), norm=transformer.final_norm, enable_nested_tensor=False
    )
    for theirs, ours in zip(layers.layers, transformer.blocks, strict=True):
        theirs.self_attn.in_proj_weight = ours.attention.inputs.weight
        theirs.self_attn.in_proj_bias = ours.attention.inputs.bias
        theirs.self_attn.out_proj.weight = ours.attention_output.weight
        theirs.self_attn.out_proj.bias = ours.attention_output.bias
        theirs.linear1, theirs.linear2 = ours.expand, ours.contract
        theirs.norm1, theirs.norm2 = ours.attention_norm, ours.feedforward_norm
    return layers


def places(scores: Iterable[Tensor], targets_U: Tensor) -> Tensor:
    """Places of the targets among all items, from 1, by sorting the scores [B, I] of batch after batch."""
    found, start = [], 0
    for scores_BI in scores:
        order_BI = torch.argsort(scores_BI, dim=1, descending=True)
        differences_BI = order_BI - targets_U[start : start + len(order_BI), None]
        found.append((differences_BI == 0).long().argmax(1) + 1)
        start += len(order_BI)
    return torch.cat(found)
