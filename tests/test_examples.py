"""Every file in examples/ runs, and shows what its text says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


def run(path: Path) -> dict[str, float]:
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.__doc__
    return module.main()


def triangle(found):
    assert 0.6 < found["linear"] < 0.8
    assert found["2-3-1"] > 0.97


def chain_rule(found):
    assert found["paths"] == 7
    assert found["sum"] == pytest.approx(found["gradients"], rel=1e-14)


def neuron_sgd(found):
    assert found["difference"] < 1e-12
    assert found["accuracy"] == 1


def dense_layer(found):
    assert found.keys() == {"dL/dW", "dL/db", "dL/dX"}
    assert max(found.values()) < 1e-14


def frozen_variable(found):
    assert found["shift"] == 4
    assert found["trainable"] == 1
    assert found["slope"] == pytest.approx(found["best"], rel=1e-5)
    assert found["moved"] != 4


def linear_regression(found):
    assert found["difference"] < 1e-5
    assert 0.008 < found["last"] < 0.013 < found["first"]  # the noise has a variance of 0.01


def logistic_regression(found):
    assert found["accuracy"] > 0.88
    assert found["gradient"] < 2e-4


def mlp_digits(found):
    assert found["train"] > 0.98
    assert found["test"] > 0.95


def conv_digits(found):
    assert found["accuracy"] > 0.9
    assert found["spread"] > 0.005


def autoencoder(found):
    assert 0.008 < found["error"] < 0.8 * found["linear"]


def vae(found):
    assert 20 < found["last"] < 27 < 40 < found["first"]
    assert 1.5 < found["kl"] < 6
    assert found["new"] < 0.9 * found["blurred"]


def word_embeddings(found):
    assert found["before"] < 0.5
    assert found["after"] > 0.9


def kmeans(found):
    assert 3 < found["steps"] < 100
    assert found["rises"] <= 1e-9
    assert found["difference"] < 1e-9
    assert found["purity"] > 0.7


def gaussian_process(found):
    assert found["gain"] > 40
    assert 0.15 < found["noise"] < 0.3
    assert found["error"] < 0.1
    assert found["inside"] > 0.9
    assert found["difference"] < 1e-8


def hidden_markov(found):
    assert found["likelihood"] < 1e-12
    assert found["posterior"] < 1e-12
    assert -2000 < found["long"] < -1000


def heat_equation(found):
    assert found["residual"] < 0.1
    assert found["error"] < 0.02


def policy_gradient(found):
    assert found["before"] < 50
    assert found["after"] > 120


def actor_critic(found):
    assert found["steps"] == 8
    assert found["error"] < 0.3
    assert 0 < found["lag"] < 0.5


def maml(found):
    assert found["difference"] < 1e-6
    assert found["adapted"] < 0.35 * min(found["start"], found["untrained"])


def gan_line(found):
    assert found["first"] < 3
    assert found["mean"] == pytest.approx(4, abs=0.3)
    assert 0.3 < found["deviation"] < 0.7
    assert found["variables"] == 10


def lbfgs(found):
    assert 3e-4 < found["loss"] < 5e-4 < 0.1 < found["slow"]  # the noise has a variance of 4e-4
    assert found["error"] < 0.03


def moving_average(found):
    assert found["difference"] < 1e-12
    assert found["averaged"] < 0.4 * found["weights"]
    assert found["trained"] == 1


def learning_rate_decay(found):
    assert found["constant"] > 0.2
    assert max(found[kind] for kind in ("exponential", "staircase", "inverse")) < 0.1
    assert found["fed"] == pytest.approx(found["inverse"], rel=1e-3)


def graph_surgery(found):
    assert found["accuracy"] > 0.95
    assert found["fed"] < 1e-4 < 0.1 < found["lesion"]
    assert found["moved"] == 0
    assert found["threes"] > 0.5
    assert found["matmul"] == 1


def several_graphs(found):
    assert found["apart"] > 0.1
    assert 0.85 < found["best"] < found["together"] + 0.02


def char_rnn(found):
    assert found["first"] > 2.5
    assert found["last"] < 0.05
    assert found["right"] > 0.95


CHECKS = {
    check.__name__: check
    for check in (
        triangle,
        chain_rule,
        neuron_sgd,
        dense_layer,
        frozen_variable,
        linear_regression,
        logistic_regression,
        mlp_digits,
        conv_digits,
        autoencoder,
        vae,
        word_embeddings,
        kmeans,
        gaussian_process,
        hidden_markov,
        heat_equation,
        policy_gradient,
        actor_critic,
        maml,
        gan_line,
        lbfgs,
        moving_average,
        learning_rate_decay,
        graph_surgery,
        several_graphs,
        char_rnn,
    )
}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path, capsys):
    CHECKS[path.stem](run(path))
    assert capsys.readouterr().out


def test_no_example_is_missing():
    assert CHECKS.keys() == {path.stem for path in EXAMPLES}
