"""Makes panel.csv (our own synthetic returns) and arch.json (figures of the PyPI package arch on them).

    pip install arch==8.0.0 numpy && python3 figures.py
"""
import json
import numpy as np
import arch
from arch.bootstrap import SPA, StepM, optimal_block_length

rng = np.random.default_rng(20)
n, k = 400, 12
returns = np.empty((k, n))
for i in range(k):
    e = rng.standard_normal(n) * 0.01
    phi = [0, 0.2, 0.5, -0.3][i % 4]
    for t in range(1, n):
        e[t] += phi * e[t - 1]
    returns[i] = e
returns[2] += 0.0018
returns[5] += 0.0030
returns[9] -= 0.0040
returns = np.round(returns, 8)
np.savetxt("panel.csv", returns, fmt="%.8f", delimiter=",")
out = {"package": "arch " + arch.__version__, "block": 6, "resamples": 20000, "blocks": [], "spa": {}, "survivors": []}
for row in returns:
    out["blocks"].append(float(optimal_block_length(row)["stationary"].iloc[0]))
zero = np.zeros(n)
# The package does not studentise its means: the rows are scaled before, by the deviation of the mean
# that the stationary bootstrap has (Politis and Romano 1994).
demeaned = returns - returns.mean(axis=1, keepdims=True)
variance = (demeaned**2).sum(axis=1) / n
p = 1 / 6
for i in range(1, n):
    kappa = (1 - i / n) * (1 - p) ** i + i / n * (1 - p) ** (n - i)
    variance += 2 * kappa * (demeaned[:, : n - i] * demeaned[:, i:]).sum(axis=1) / n
scaled = returns / np.sqrt(variance)[:, None]
spa = SPA(zero, -scaled.T, block_size=6, reps=20000, bootstrap="stationary", seed=1)
spa.compute()
out["spa"] = {name: float(spa.pvalues[name]) for name in ("lower", "consistent", "upper")}
plain = SPA(zero, -returns.T, block_size=6, reps=20000, bootstrap="stationary", seed=1)
plain.compute()
out["reality_check"] = float(plain.pvalues["upper"])
weak = SPA(zero, -np.delete(scaled, [5], axis=0).T, block_size=6, reps=20000, bootstrap="stationary", seed=1)
weak.compute()
out["spa_without"] = {name: float(weak.pvalues[name]) for name in ("lower", "consistent", "upper")}
step = StepM(zero, -scaled.T, size=0.05, block_size=6, reps=20000, bootstrap="stationary", seed=1)
step.compute()
out["survivors"] = [int(i) for i in step.superior_models]
json.dump(out, open("arch.json", "w"), indent=1)
print(json.dumps(out, indent=1))
