"""Rows of the optimizers' steps that are tile programs."""

import numpy as np
from specs import Bad, Spec, between, f32, normal, positive, sweep, unit, updated

from gradplan.train import steps

# fmt: off

SHAPES = ((), (0,), (7,), (1025,), (2, 3))


def adam_w(w, m, v, lr, decay, rest1, rest2, eps, g):
    m, v = m + rest1 * (g - m), v + rest2 * (g * g - v)
    return w - decay * w - lr * m / (np.sqrt(v) + eps), m, v


def adagrad(w, a, lr, g):
    return w - lr * g / np.sqrt(a + g * g), a + g * g


def adadelta(w, a, u, lr, rho, rest, eps, g):
    a = rho * a + rest * g * g
    step = np.sqrt((u + eps) / (a + eps)) * g
    return w - lr * step, a, rho * u + rest * step * step


def rmsprop(w, ms, mom, lr, rest, mu, eps, g):
    ms = ms + rest * (g * g - ms)
    mom = mu * mom + lr * g / np.sqrt(ms + eps)
    return w - mom, ms, mom


def centered(w, mg, ms, mom, lr, rest, mu, eps, g):
    ms, mg = ms + rest * (g * g - ms), mg + rest * (g - mg)
    mom = mu * mom + lr * g / np.sqrt(ms - mg * mg + eps)
    return w - mom, mg, ms, mom


def ftrl(w, a, z, lr, l1, l2, shrinkage, power, g):
    new = a + g * g
    z = z + g + shrinkage * w - (new**power - a**power) / lr * w
    shrunk = np.where(abs(z) > l1, np.sign(z) * l1 - z, 0.0)
    return shrunk / (new**power / lr + l2), new, z


def ftrl_size(w, a, z, lr, l1, l2, shrinkage, power, g):
    new = a + g * g
    size = abs(z) + abs(g) + abs(shrinkage * w) + 2 * new**power / lr * abs(w)
    return (size + l1) / (new**power / lr + l2), new, size


def proximal(w, alpha, l1, scale, g):
    moved = w - alpha * g
    return np.sign(moved) * np.maximum(abs(moved) - l1, 0) / scale


def proximal_adagrad(w, a, lr, l1, l2, one, g):
    new = a + g * g
    rate = lr / np.sqrt(new)
    moved = w - rate * g
    return np.sign(moved) * np.maximum(abs(moved) - rate * l1, 0) / (one + l2 * rate), new


def step(op, function, oracle, slots, numbers, ulps, scale):
    """A row of a variable, its slots, scalars and a gradient."""
    n = 1 + len(slots)
    bad = (f32(3),) * n, (f32(),) * len(numbers)
    return Spec(
        op, updated(function, n), oracle, (normal, *slots, *numbers, normal),
        sweep([((s,) * n + ((),) * len(numbers) + (s,)) for s in SHAPES]), ulps=ulps, scale=scale,
        variables=n, bad=(
            Bad(ValueError, ("grad", "(3,)", "(2,)"), (*bad[0], *bad[1], f32(2))),
            Bad(ValueError, ("(2,)", "()"), (*bad[0], f32(2), *bad[1][1:], f32(3)))))


small, some = between(0.01, 0.1), between(0.1, 1)
SPECS = [
    step("ApplyAdamWithWeightDecay", steps.apply_adam_w, adam_w, (normal, positive),
         (small, small, unit, unit, some), 12,
         lambda w, m, v, lr, d, r1, r2, e, g: (
             abs(w) + lr * (abs(m) + abs(g)) / e, abs(m) + abs(g), v + g * g)),
    step("ApplyAdagrad", steps.apply_adagrad, adagrad, (positive,), (unit,), 4,
         lambda w, a, lr, g: (abs(w) + lr, a + g * g)),
    step("ApplyAdadelta", steps.apply_adadelta, adadelta, (positive, positive),
         (unit, unit, unit, some), 12,
         lambda w, a, u, lr, rho, rest, e, g: (
             abs(w) + lr * np.sqrt((u + e) / e) * abs(g), a + g * g,
             u + rest * (u + e) / e * g * g)),
    step("ApplyRMSProp", steps.apply_rms_prop, rmsprop, (positive, normal),
         (unit, unit, unit, some), 12,
         lambda w, ms, mom, lr, rest, mu, e, g: (
             abs(w) + abs(mom) + lr * abs(g) / np.sqrt(e), ms + g * g,
             abs(mom) + lr * abs(g) / np.sqrt(e))),
    step("ApplyCenteredRMSProp", steps.apply_centered_rms_prop, centered,
         (between(-0.3, 0.3), positive, normal), (unit, small, unit, some), 60,
         lambda w, mg, ms, mom, lr, rest, mu, e, g: (
             abs(w) + abs(mom) + lr * abs(g), abs(mg) + abs(g), ms + g * g,
             abs(mom) + lr * abs(g) + 1)),
    step("ApplyFtrl", steps.apply_ftrl, ftrl, (positive, normal),
         (unit, unit, unit, unit, some), 12, ftrl_size),
    step("ApplyFtrlSqrt", steps.apply_ftrl_sqrt,
         lambda *x: ftrl(*x[:7], 0.5, x[8]), (positive, normal), (unit, unit, unit, unit, some), 12,
         lambda *x: ftrl_size(*x[:7], 0.5, x[8])),
    step("ApplyProximalGradientDescent", steps.apply_proximal_gradient_descent, proximal, (),
         (unit, unit, between(1, 2)), 6,
         lambda w, alpha, l1, scale, g: abs(w) + alpha * abs(g) + l1),
    step("ApplyProximalAdagrad", steps.apply_proximal_adagrad, proximal_adagrad, (positive,),
         (unit, unit, unit, some), 8, lambda w, a, lr, l1, l2, one, g: (
             (abs(w) + lr + lr * l1 / np.sqrt(a)) / one, a + g * g)),
]
