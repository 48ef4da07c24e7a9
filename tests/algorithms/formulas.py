"""The formulas of the papers and their authors' code, one number at a time; nothing here comes from the package.

`losses[t][k]` is the mean loss of component k in step t, None where it did not come; `samples[t][k]` its samples.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.signal import savgol_filter


def total(values):
    return [value / sum(values) for value in values]


def softmax(values):
    return total([math.exp(value - max(values)) for value in values])


def loss_average(losses, samples, decay):
    size = len(samples[0])
    sums, counts, found = [0.0] * size, [0.0] * size, []
    for loss, count in zip(losses, samples, strict=True):
        for k in range(size):
            came = loss[k] is not None
            sums[k] = decay * sums[k] + (loss[k] * count[k] if came else 0)
            counts[k] = decay * counts[k] + (count[k] if came else 0)
        means = {k: sums[k] / counts[k] for k in range(size) if counts[k] > 0}
        found.append(total([means.get(k, sum(means.values()) / len(means)) for k in range(size)]))
    return found


def odm(losses, decay, rule, reward):
    size = len(losses[0])
    rewards, found = [0.0] * size, []

    def epsilon(t):
        return 1 / size if t == 0 else min(1 / size, math.sqrt(math.log(size) / (size * t)))

    for t, loss in enumerate(losses, 1):
        for k in range(size):
            if loss[k] is not None:
                rewards[k] = decay * rewards[k] + (1 - decay) * (math.exp(loss[k]) if reward == "exp" else loss[k])
        base = softmax([epsilon(t - 1) * r for r in rewards]) if rule == "single" else total(rewards)
        found.append([(1 - size * epsilon(t)) * base[k] + epsilon(t) for k in range(size)])
    return found


def exp3(losses, samples, weights, gamma, eta, scale):
    size = len(weights)
    w, found = list(weights), []
    for loss, count in zip(losses, samples, strict=True):
        p = [(1 - gamma) * x + gamma / size for x in total(w)]
        for k in range(size):
            reward = 0.0 if loss[k] is None else min(loss[k] / scale, 1.0) * count[k] / sum(count) / p[k]
            w[k] *= math.exp(eta * reward / size)
        found.append([(1 - gamma) * x + gamma / size for x in total(w)])
    return found


def sheared(losses, weights, targets, rule, eta, c, clip):
    size = len(weights)
    p, last, found = list(weights), list(targets), []
    for loss in losses:
        last = [old if new is None else new for new, old in zip(loss, last, strict=True)]
        diff = [last[k] - targets[k] for k in range(size)]
        diff = [max(d, 0.0) for d in diff] if clip else diff
        if rule == "doremi":
            p = [(1 - c) * x + c / size for x in total([p[k] * math.exp(eta * diff[k]) for k in range(size)])]
        else:
            p = softmax([p[k] + eta * diff[k] for k in range(size)])
        found.append(p)
    return found


def velocity(losses, weights, targets, initial, eta):
    size = len(weights)
    w, last, first, found = list(weights), [None] * size, list(initial), []
    for loss in losses:
        last = [old if new is None else new for new, old in zip(loss, last, strict=True)]
        first = [new if old is None else old for new, old in zip(last, first, strict=True)]
        for k in range(size):
            if last[k] is not None and first[k] > targets[k]:
                speed = (first[k] - last[k]) / (first[k] - targets[k])
                w[k] *= math.exp(eta * (1 - speed))
        w = total(w)
        found.append(list(w))
    return found


def skill_it(losses, graph, eta, window, normalise):
    size = len(graph)
    last, first, history, found = [None] * size, [None] * size, [], []
    for loss in losses:
        last = [old if new is None else new for new, old in zip(loss, last, strict=True)]
        first = [new if old is None else old for new, old in zip(last, first, strict=True)]
        history.append([x or 0.0 for x in last])
        recent = [sum(row[k] for row in history[-window:]) for k in range(size)]
        if normalise:
            recent = [recent[k] / (first[k] or 1.0) for k in range(size)]
        found.append(softmax([eta * sum(graph[i][j] * recent[j] for j in range(size)) for i in range(size)]))
    return found


def imputed(losses, samples):
    """ADO's history: what did not come repeats its last loss; at the first step it has the mean of the batch."""
    first = [(x, n) for x, n in zip(losses[0], samples[0], strict=True) if x is not None]
    last = [sum(x * n for x, n in first) / sum(n for _, n in first)] * len(losses[0])
    rows = []
    for loss in losses:
        last = [old if new is None else new for new, old in zip(loss, last, strict=True)]
        rows.append(last)
    return np.array(rows)


def seen(samples, same):
    """Cumulated samples, [T, K]."""
    counts = np.array(samples, float)
    return np.cumsum(np.repeat(counts.sum(1, keepdims=True), counts.shape[1], 1) if same else counts, axis=0)


def ado_points(losses, samples, ignore, thin, same):
    """What the laws are fitted to: n and smoothed losses, each [K, P], after the last of these steps."""
    smooth = savgol_filter(imputed(losses, samples).T, 101, 3, axis=-1)
    return seen(samples, same).T[:, ignore::thin], smooth[:, ignore::thin]


def ado_fit_value(a, e, alpha, n, losses):
    """What a fit makes small."""
    value = 0.0
    for x, y in zip(n, losses, strict=True):
        d = abs(math.log(math.exp(a - alpha * math.log(x)) + math.exp(e)) - math.log(y))
        value += 0.5 * d * d if d <= 1e-3 else 1e-3 * (d - 0.5e-3)
    return value + max(alpha - 0.8, 0) - min(alpha, 0.001) - min(e - 0.5, 0) + max(a - 6.5, 0)


def ado_policy(samples, prior, laws, official, least=0.01):
    """The weights for the step after each step. `laws[t]`: parameters that count from the feedback of step t on."""
    size = len(prior)
    n, h, average = [0.0] * size, list(prior), list(prior)
    law, found = None, []
    for step, batch in enumerate(samples):
        law = laws.get(step, law)
        for k in range(size):
            n[k] += sum(batch) if official else batch[k]
        if official:
            h = [0.9 * h[k] + 0.1 * batch[k] / sum(batch) for k in range(size)]
        if law is None:
            found.append(None)
            continue
        slope = []
        for k, (a, e, alpha) in enumerate(law):
            count = max(n[k], 1.0)
            loss = math.exp(e) + math.exp(a) / count**alpha
            slope.append(max(alpha, 0.05 if official else 0.0) * (loss - math.exp(e)) / count)
        rho = total([prior[k] * slope[k] * math.sqrt(h[k]) for k in range(size)])
        rho = total([max(x, least) for x in rho])
        t = step + 1
        policy = [0.1 * rho[k] + 0.9 * average[k] for k in range(size)]
        average = [(1 - 1 / (t + 1)) * average[k] + rho[k] / (t + 1) for k in range(size)]
        if not official:
            h = [0.9 * h[k] + 0.1 * policy[k] for k in range(size)]
        found.append(policy)
    return found
