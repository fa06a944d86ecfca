"""Writes learning_rates.json: fastai's lr_find, spelled out in PyTorch in double precision, on the head of head.json.

  python make_learning_rates.py

The sweep is fastai 2's LRFinder with its defaults, its end by AvgSmoothLoss, the suggestion its `steep`, on losses that are
smoothed by a Gaussian of 8 steps.
"""
import json
import math
import pathlib

import torch

here = pathlib.Path(__file__).parent
data = json.loads((here / "head.json").read_text())
FROM, TO, STEPS, BETA, BATCH = 1e-7, 10.0, 100, 0.98, 32

x = torch.tensor(data["features"], dtype=torch.float64)
y = torch.tensor(data["labels"])
weight = torch.tensor(data["weight"], dtype=torch.float64)
head = torch.nn.Linear(x.shape[1], weight.shape[0], dtype=torch.float64)
with torch.no_grad():
    head.weight.copy_(weight)
    head.bias.zero_()
adam = torch.optim.Adam(head.parameters(), lr=FROM, betas=(0.9, 0.999), eps=1e-7)


def batches():
    while True:
        for order in data["orders"]:
            yield from torch.tensor(order).split(BATCH)


rates, losses, running, mean = [], [], [], 0.0
for step, batch in zip(range(STEPS), batches()):
    rate = FROM * (TO / FROM) ** (step / (STEPS - 1))
    loss = torch.nn.functional.cross_entropy(head(x[batch]), y[batch])
    mean = BETA * mean + (1 - BETA) * loss.item()
    rates.append(rate)
    losses.append(loss.item())
    running.append(mean / (1 - BETA ** (step + 1)))
    if running[-1] > 4 * min(running):
        break
    adam.param_groups[0]["lr"] = rate
    adam.zero_grad()
    loss.backward()
    adam.step()

at = torch.arange(len(losses), dtype=torch.float64)
bell = torch.exp(-((at[:, None] - at[None]) ** 2) / (2 * 8.0**2))
smoothed = ((bell / bell.sum(1, keepdim=True)) @ torch.tensor(losses, dtype=torch.float64)).tolist()
r, s = rates[STEPS // 10:-5], smoothed[STEPS // 10:-5]
slopes = [(s[i + 1] - s[i]) / (math.log(r[i + 1]) - math.log(r[i])) for i in range(len(r) - 1)]
out = {
    "made_by": f"make_learning_rates.py with torch {torch.__version__}",
    "rates": rates, "losses": losses, "smoothed": smoothed, "suggestion": r[slopes.index(min(slopes))],
}
(here / "learning_rates.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")
