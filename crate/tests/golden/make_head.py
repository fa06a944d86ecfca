"""Writes head.json: a small head trained by PyTorch, from given weights and in a given order, in double precision.

  python make_head.py

The features are clusters that overlap, so that the loss neither vanishes nor explodes.
"""
import json
import pathlib

import torch

PHOTOS, HELD_OUT, FEATURES, CLASSES, BATCH, EPOCHS, RATE = 70, 20, 12, 3, 32, 4, 0.05

g = torch.Generator().manual_seed(7)


def rounded(*shape):
    """Six decimals: the same number in this file, in f32 and here."""
    return torch.round(torch.randn(*shape, generator=g, dtype=torch.float64), decimals=6)


centres = rounded(CLASSES, FEATURES)
labels = torch.randint(CLASSES, (PHOTOS + HELD_OUT,), generator=g)
features = torch.round((centres[labels] * 0.6 + rounded(PHOTOS + HELD_OUT, FEATURES)).relu(), decimals=6)
weight, bias = torch.round(rounded(CLASSES, FEATURES) * 0.4, decimals=6), torch.zeros(CLASSES, dtype=torch.float64)
orders = [torch.randperm(PHOTOS, generator=g) for _ in range(EPOCHS)]
start = weight.tolist()

x, y, held_x, held_y = features[:PHOTOS], labels[:PHOTOS], features[PHOTOS:], labels[PHOTOS:]
entropy = torch.nn.functional.cross_entropy


def softmax_twice(z, y):
    """The classic mistake: probabilities taken for logits."""
    return entropy(torch.softmax(z, 1), y)


def of_probabilities(z, y):
    """What a loss that is told of the softmax computes."""
    return torch.nn.functional.nll_loss(torch.log(torch.softmax(z, 1)), y)


def train(loss_of):
    head = torch.nn.Linear(FEATURES, CLASSES, dtype=torch.float64)
    with torch.no_grad():
        head.weight.copy_(weight)
        head.bias.copy_(bias)
    adam = torch.optim.Adam(head.parameters(), lr=RATE, betas=(0.9, 0.999), eps=1e-7)

    def score(x, y):
        with torch.no_grad():
            z = head(x)
            return float((z.argmax(1) == y).double().mean()), float(loss_of(z, y))

    epochs = []
    for order in orders:
        hits, total = 0, 0.0
        for batch in order.split(BATCH):
            z = head(x[batch])
            loss = loss_of(z, y[batch])
            hits += int((z.argmax(1) == y[batch]).sum())
            total += loss.item() * len(batch)
            adam.zero_grad()
            loss.backward()
            adam.step()
        end, held_out = score(x, y), score(held_x, held_y)
        epochs.append({
            "training_accuracy_running": hits / PHOTOS, "training_loss_running": total / PHOTOS,
            "training_accuracy": end[0], "training_loss": end[1],
            "validation_accuracy": held_out[0], "validation_loss": held_out[1],
            "weight": head.weight.tolist(), "bias": head.bias.tolist(),
        })
    return epochs


out = {
    "made_by": f"make_head.py with torch {torch.__version__}",
    "learning_rate": RATE, "batch": BATCH, "classes": CLASSES,
    "features": x.tolist(), "labels": y.tolist(), "held_out": held_x.tolist(), "held_out_labels": held_y.tolist(),
    "weight": start, "bias": bias.tolist(), "orders": [order.tolist() for order in orders], "epochs": train(entropy),
    "softmax_twice": train(softmax_twice), "of_probabilities": train(of_probabilities),
}
pathlib.Path(__file__).with_name("head.json").write_text(json.dumps(out, indent=None, separators=(",", ":")) + "\n")
