"""Measure how well FER+'s votes predict FER2013's labels.

    python -m benchmarks.ferplus_targets fer2013.tar.gz fer2013new.csv

The regression of `fit_votes_to_labels` is fitted on train and measured on validation: its accuracy,
and the mean negative log-likelihood of the labels. The majority of the votes is the baseline.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from fer_edge.train.data.ferplus import read_votes
from fer_edge.train.data.loading import read_data
from fer_edge.train.targets import fit_votes_to_labels

data = read_data(Path(sys.argv[1]))
votes = read_votes(Path(sys.argv[2]), data)
train, val = (torch.from_numpy(data.split(name).labels) for name in ("train", "val"))
votes_to_labels = fit_votes_to_labels(votes["train"], train, len(data.labels))
majority = torch.from_numpy(votes["val"].for_labels(data.labels)).argmax(1)
probabilities = votes_to_labels(votes["val"])
print(f"FER+'s majority:    {(majority == val).double().mean():.2%} of {len(val)} labels")
print(f"fitted to labels:   {(probabilities.argmax(1) == val).double().mean():.2%}")
print(f"its log-loss:       {-probabilities[range(len(val)), val].log().mean():.3f}")
