"""Labels and probabilities against scikit-learn's, on data that nobody picked by hand."""

from __future__ import annotations

import random

import pytest

from doteval.statistics import labels

sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")

CLOSE = {"rel": 1e-12, "abs": 1e-12}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(20))
def test_confusion(seed):
    """Every figure of a confusion matrix, also where a label is never predicted or expected."""
    draw = random.Random(seed)
    names = ["no", "yes", "refusal", "other"][: draw.randint(2, 4)]
    pairs = [(draw.choice(names), draw.choice(names[: draw.randint(1, 4)])) for _ in range(60)]
    predicted, expected = zip(*pairs, strict=True)

    found = labels.Confusion.of(pairs)

    assert found.table() == sklearn.confusion_matrix(expected, predicted).tolist()
    for figure in ("precision", "recall", "f1"):
        theirs = getattr(sklearn, f"{figure}_score")
        for how in ("macro", "weighted", "micro"):
            value = theirs(expected, predicted, average=how, zero_division=0)
            assert found.average(figure, how) == pytest.approx(value, **CLOSE)
    assert found.accuracy == pytest.approx(sklearn.accuracy_score(expected, predicted), **CLOSE)
    assert found.balanced_accuracy == pytest.approx(
        sklearn.balanced_accuracy_score(expected, predicted), **CLOSE
    )
    assert found.mcc == pytest.approx(sklearn.matthews_corrcoef(expected, predicted), **CLOSE)
    assert found.kappa == pytest.approx(sklearn.cohen_kappa_score(expected, predicted), **CLOSE)


@pytest.mark.parametrize("seed", range(10))
def test_forecasts(seed):
    """AUROC with ties, Brier's score and the log loss, with certainties that are wrong."""
    draw = random.Random(seed)
    given = [draw.choice([draw.random(), 0.0, 1.0, 0.5]) for _ in range(80)]
    happened = [draw.random() < p for p in given[:60]] + [True] * 10 + [False] * 10
    forecasts = list(zip(given, happened, strict=True))

    assert labels.auroc(forecasts) == pytest.approx(sklearn.roc_auc_score(happened, given), **CLOSE)
    assert labels.brier(forecasts) == pytest.approx(
        sklearn.brier_score_loss(happened, given), **CLOSE
    )
    assert labels.log_loss(forecasts) == pytest.approx(sklearn.log_loss(happened, given), **CLOSE)
