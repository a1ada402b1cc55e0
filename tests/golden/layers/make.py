"""Writes golden.json: what PyTorch 2.15 computes for every layer of rl-nn, in double precision.

Parameters and their gradients are flat in the order of rl-nn, weights input-major; images are [B, H, W, C].
Run: python make.py (needs torch)
"""

import json
import pathlib

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(1)
torch.set_default_dtype(torch.float64)
cases = []


def rounded(tensors):
    if torch.is_tensor(tensors):
        tensors = [tensors]
    return [float(f"{v:.8g}") for t in tensors for v in t.detach().reshape(-1).tolist()]


def case(name, run, x, params=(), flat=None, **extra):
    """`flat` turns the list of PyTorch's parameters (or their gradients) into ours."""
    x = x.requires_grad_()
    y = run(x)
    g = torch.randn_like(y)
    y.backward(g)
    flat = flat or (lambda p: p)
    entry = {"name": name, "dims": list(x.shape), "x": rounded(x), "y_dims": list(y.shape), "y": rounded(y)}
    entry |= {"g": rounded(g), "dx": rounded(x.grad)}
    entry |= {"params": rounded(flat(list(params))), "dparams": rounded(flat([p.grad for p in params]))}
    cases.append(entry | {k: rounded(v) if torch.is_tensor(v) else v for k, v in extra.items()})
    return y


def shuffled(module):
    for p in module.parameters():
        nn.init.normal_(p, std=0.5)
    return module


lstm = shuffled(nn.LSTM(3, 4))
h, c = torch.randn(1, 2, 4), torch.randn(1, 2, 4)
last = {}


def run_lstm(x):
    y, (_, last["c"]) = lstm(x, (h, c))
    return y


def flat_lstm(p, total=True):
    w, u, b, d = p
    return [w.T, u.T, b + d if total else b]


x = torch.randn(5, 2, 3)
entry = case("lstm", run_lstm, x, list(lstm.parameters()), lambda p: flat_lstm(p), h=h, c=c)
# Both of PyTorch's biases have the same gradient, which is that of ours; their sum above counts it twice.
cases[-1]["dparams"] = rounded(flat_lstm([p.grad for p in lstm.parameters()], total=False))
cases[-1]["last_c"] = rounded(last["c"])

gru = shuffled(nn.GRU(3, 4))
case("gru", lambda x: gru(x, h)[0], torch.randn(5, 2, 3), list(gru.parameters()), lambda p: [p[0].T, p[1].T, *p[2:]], h=h)

norm = shuffled(nn.LayerNorm(5))
case("layer_norm", norm, torch.randn(3, 5) * 2 + 1, list(norm.parameters()))

norm = shuffled(nn.BatchNorm2d(3))


def image(f):
    return lambda x: f(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


case("batch_norm_train", image(norm), torch.randn(2, 3, 4, 3) * 2 + 1, list(norm.parameters()))
cases[-1]["running"] = rounded([norm.running_mean, norm.running_var])
norm.zero_grad()
norm.eval()
case("batch_norm_eval", image(norm), torch.randn(2, 3, 4, 3), list(norm.parameters()))

case("softmax", lambda x: x.softmax(-1), torch.randn(3, 5) * 3)
case("log_softmax", lambda x: x.log_softmax(-1), torch.randn(3, 5) * 3)
case("gelu", F.gelu, torch.randn(3, 5) * 2)

padding = torch.tensor([[0.0, 0, 0, 1], [0, 0, 0, 0]])
for name, causal, padded in [("none", False, False), ("causal", True, False), ("both", True, True)]:
    mha = shuffled(nn.MultiheadAttention(4, 2, batch_first=True))
    future = torch.full((4, 4), float("-inf")).triu(1) if causal else None
    penalty = torch.where(padding > 0, float("-inf"), 0.0) if padded else None

    def attend(x):
        return mha(x, x, x, key_padding_mask=penalty, attn_mask=future, need_weights=False)[0]

    case(f"attention_{name}", attend, torch.randn(2, 4, 4), list(mha.parameters()), lambda p: [p[0].T, p[1], p[2].T, p[3]])

for first in [True, False]:
    for bend in ["relu", "gelu"]:
        layer = nn.TransformerEncoderLayer(4, 2, 6, 0.0, bend, batch_first=True, norm_first=first)
        layer = shuffled(layer)

        def flat(p):
            qkv, qkv_b, out, out_b, up, up_b, down, down_b, *norms = p
            return [qkv.T, qkv_b, out.T, out_b, up.T, up_b, down.T, down_b, *norms]

        case(f"encoder_{'before' if first else 'after'}_{bend}", layer, torch.randn(2, 3, 4), list(layer.parameters()), flat)

x = torch.randn(2, 5, 7, 2)
case("max_pool", image(lambda x: F.max_pool2d(x, (3, 2), (2, 1), (1, 1))), x.clone())
case("avg_pool", image(lambda x: F.avg_pool2d(x, (3, 2), (2, 1), (1, 1))), x.clone())
case("nearest", image(lambda x: F.interpolate(x, (8, 5), mode="nearest")), torch.randn(1, 3, 4, 2))
case("bilinear", image(lambda x: F.interpolate(x, (8, 5), mode="bilinear")), torch.randn(1, 3, 4, 2))

for centred in [False, True]:
    p = nn.Parameter(torch.randn(6))
    start = rounded(p)
    optimiser = torch.optim.RMSprop([p], lr=0.01, alpha=0.9, eps=1e-3, centered=centred)
    grads = []
    for _ in range(4):
        p.grad = torch.randn(6)
        grads.append(rounded(p.grad))
        optimiser.step()
    cases.append({"name": f"rms_prop_{'centred' if centred else 'plain'}", "params": start, "grads": grads, "y": rounded(p)})

# Eight steps with gradients clipped to a norm of 1: RAdam rectifies from the sixth on.
for name, kind in [("adam", torch.optim.Adam), ("radam", torch.optim.RAdam)]:
    p = nn.Parameter(torch.randn(6))
    start = rounded(p)
    optimiser = kind([p], lr=0.05, betas=(0.8, 0.999), eps=1e-3)
    grads, path = [], []
    for _ in range(8):
        p.grad = torch.randn(6)
        grads.append(rounded(p.grad))
        nn.utils.clip_grad_norm_([p], 1.0)
        optimiser.step()
        path.append(rounded(p))
    cases.append({"name": name, "params": start, "grads": grads, "path": path})

lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
pathlib.Path(__file__).with_name("golden.json").write_text(f"[\n{lines}\n]\n")
