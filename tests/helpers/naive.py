"""Every equation of the method once more, in the most literal way: loops over plain float64 arrays.

Written from the paper and its supplement, not from the product's code, which `test_equations` compares with it. Network
parameters are a dict of arrays under the names of the product's ``state_dict``.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy.special import digamma

EPS = 1e-5  # of batch normalisation
MOMENTUM = 0.1


def arrays(module):
    """A module's parameters and buffers as float64 arrays."""
    return {name: value.detach().cpu().double().numpy().copy() for name, value in module.state_dict().items()}


def below(params, prefix):
    """The parameters of the part called ``prefix``."""
    return {name[len(prefix) + 1 :]: v for name, v in params.items() if name.startswith(prefix + ".")}


# --- The skeleton's adjacency -----------------------------------------------------------------------------------------


def hops(skeleton):
    """Bones between each joint and the centre, by relaxing every bone V times."""
    far = [math.inf] * skeleton.num_joints
    far[skeleton.centre] = 0
    for _ in range(skeleton.num_joints):
        for a, b in skeleton.edges:
            far[a], far[b] = min(far[a], far[b] + 1), min(far[b], far[a] + 1)
    return far


def adjacency(skeleton, partition):
    """(S, V, V): [s, v, w] is the weight with which joint v, of subset s seen from w, feeds w."""
    joints, far = skeleton.num_joints, hops(skeleton)
    bones = {frozenset(edge) for edge in skeleton.edges}
    subsets = {"spatial": 3, "distance": 2, "uniform": 1}[partition]
    out = np.zeros((subsets, joints, joints))
    for w in range(joints):
        heard = [v for v in range(joints) if v == w or frozenset((v, w)) in bones]
        for v in heard:
            if partition == "spatial":
                subset = 0 if far[v] == far[w] else 1 if far[v] < far[w] else 2
            else:
                subset = int(partition == "distance" and v != w)
            out[subset, v, w] = 1 / len(heard)
    return out


# --- Layers; arrays are (N, C, T, V) ----------------------------------------------------------------------------------


def conv_1x1(x, weight, bias=None, stride=1):
    n, _, t, v = x.shape
    out = np.zeros((n, len(weight), -(-t // stride), v))
    for i, o, step, joint in np.ndindex(*out.shape):
        out[i, o, step, joint] = weight[o, :, 0, 0] @ x[i, :, step * stride, joint]
        if bias is not None:
            out[i, o, step, joint] += bias[o]
    return out


def conv_time(x, weight, stride):
    """Temporal convolution, padded with zeros to keep T where the stride is 1."""
    n, _, t, v = x.shape
    kernel = weight.shape[2]
    out = np.zeros((n, len(weight), (t + 2 * (kernel // 2) - kernel) // stride + 1, v))
    for i, o, step, joint in np.ndindex(*out.shape):
        for k in range(kernel):
            at = step * stride + k - kernel // 2
            if 0 <= at < t:
                out[i, o, step, joint] += weight[o, :, k, 0] @ x[i, :, at, joint]
    return out


def batch_norm(x, params, training):
    """With the batch's own statistics in training, with the running ones otherwise."""
    out = np.empty_like(x)
    for c in range(x.shape[1]):
        values = x[:, c]
        mean, variance = params["running_mean"][c], params["running_var"][c]
        if training:
            mean = values.sum() / values.size
            variance = ((values - mean) ** 2).sum() / values.size
        out[:, c] = params["weight"][c] * (values - mean) / math.sqrt(variance + EPS) + params["bias"][c]
    return out


def running_statistics(x, params):
    """What batch norm remembers after one training batch: running mean and (unbiased) variance."""
    means, variances = [], []
    for c in range(x.shape[1]):
        values = x[:, c]
        mean = values.sum() / values.size
        means.append((1 - MOMENTUM) * params["running_mean"][c] + MOMENTUM * mean)
        unbiased = ((values - mean) ** 2).sum() / (values.size - 1)
        variances.append((1 - MOMENTUM) * params["running_var"][c] + MOMENTUM * unbiased)
    return np.array(means), np.array(variances)


def relu(x):
    return np.maximum(x, 0)


def softmax(values):
    values = [math.exp(v - max(values)) for v in values]
    return [v / sum(values) for v in values]


def graph_conv(x, adjacencies, weight):
    """Sum over subsets of W_s x A_s; adjacencies (N, S, V, V), one a sample; weight (C_out, S * C_in, 1, 1)."""
    n, c, t, v = x.shape
    subsets = adjacencies.shape[1]
    out = np.zeros((n, len(weight), t, v))
    for i, s, step, w in itertools.product(range(n), range(subsets), range(t), range(v)):
        heard = np.zeros(c)
        for source in range(v):
            heard += adjacencies[i, s, source, w] * x[i, :, step, source]
        out[i, :, step, w] += weight[:, s * c : (s + 1) * c, 0, 0] @ heard
    return out


def attention(x, params, subsets):
    """C (N, S, V, V): two 1x1 embeddings, flattened over channels and time, product, softmax over the sources."""
    n, _, t, v = x.shape
    source = conv_1x1(x, params["source.weight"], params["source.bias"])
    target = conv_1x1(x, params["target.weight"], params["target.bias"])
    width = source.shape[1] // subsets
    out = np.zeros((n, subsets, v, v))
    for i, s, w in itertools.product(range(n), range(subsets), range(v)):
        channels = slice(s * width, (s + 1) * width)
        products = [
            np.sum(source[i, channels, :, u] * target[i, channels, :, w]) / (width * t) for u in range(v)
        ]
        out[i, s, :, w] = softmax(products)
    return out


def shortcut(x, params, stride, training):
    if not params:
        return x
    return batch_norm(conv_1x1(x, params["0.weight"], stride=stride), below(params, "1"), training)


def sagc(x, params, static, kinds, training):
    """Figure 3: a GCN with batch norm and ReLU for each adjacency, stacked, reduced, plus the residual.

    With A alone it is ST-GCN's graph convolution: one GCN, nothing to weigh.
    """
    stacked = []
    for kind in kinds:
        if kind == "static":
            used = static
        elif kind == "global":
            used = params["learned"]
        else:
            used = attention(x, below(params, "infer"), len(static))
        used = np.broadcast_to(used, (len(x), *used.shape[-3:]))
        branch = below(params, f"branches.{kind}")
        stacked.append(
            relu(batch_norm(graph_conv(x, used, branch["mix.weight"]), below(branch, "norm"), training))
        )
    if tuple(kinds) == ("static",):
        return stacked[0]
    reduced = conv_1x1(np.concatenate(stacked, axis=1), params["reduce.weight"], params["reduce.bias"])
    return reduced + shortcut(x, below(params, "residual"), 1, training)


def block(x, params, static, kinds, stride=1, training=False, activate=True):
    """Figure 2: SAGC, ReLU, temporal convolution, batch norm, residual, ReLU."""
    hidden = conv_time(
        relu(sagc(x, below(params, "spatial"), static, kinds, training)), params["temporal.weight"], stride
    )
    out = batch_norm(hidden, below(params, "norm"), training)
    out = out + shortcut(x, below(params, "residual"), stride, training)
    return relu(out) if activate else out


def upsample(x, scale):
    """Linear interpolation over time between frames that stand for the middle of their span."""
    n, c, t, v = x.shape
    out = np.zeros((n, c, t * scale, v))
    for step in range(t * scale):
        at = min(max((step + 0.5) / scale - 0.5, 0), t - 1)
        low = math.floor(at)
        high = min(low + 1, t - 1)
        out[:, :, step] = (1 - (at - low)) * x[:, :, low] + (at - low) * x[:, :, high]
    return out


def encode(x, params, static, settings, training=False):
    """Windows (N, C, T, V) -> latent vectors (N, D); parameters of the autoencoder."""
    for i, stride in enumerate(settings.strides):
        x = block(x, below(params, f"encoder.{i}"), static, settings.adjacencies, stride, training)
    return x.reshape(len(x), -1)


def decode(z, params, static, settings, training=False):
    """Latent vectors (N, D) -> windows (N, C, T, V)."""
    x = z.reshape(len(z), settings.encoder[-1] * settings.width, -1, static.shape[-1])
    numbers = iter(sorted({int(name.split(".")[1]) for name in params if name.startswith("decoder.")}))
    for scale in settings.upsampling:
        if scale > 1:
            x = upsample(x, scale)
        x = block(x, below(params, f"decoder.{next(numbers)}"), static, settings.adjacencies, 1, training)
    last = below(params, f"decoder.{next(numbers)}")
    return block(x, last, static, settings.adjacencies, 1, training, activate=False)


def reconstruction_loss(x, reconstruction):
    """L_rec: mean of the squared differences."""
    total = 0.0
    for a, b in zip(x.ravel(), reconstruction.ravel(), strict=True):
        total += (a - b) ** 2
    return total / x.size


# --- Clustering -------------------------------------------------------------------------------------------------------


def assignment(z, theta, bias=False, temperature=1.0):
    """Equation 1; with the bias, the posterior of Gaussians of unit covariance around theta."""
    p = np.zeros((len(z), len(theta)))
    for i in range(len(z)):
        exponents = []
        for centre in theta:
            exponent = sum(a * b for a, b in zip(centre, z[i], strict=True))
            if bias:
                exponent -= sum(a * a for a in centre) / 2
            exponents.append(exponent / temperature)
        p[i] = softmax(exponents)
    return p


def student_assignment(z, centroids, freedom, temperature=1.0):
    """Deep embedded clustering's kernel: (1 + |z - mu|^2 / a) ** -((a + 1) / 2), normalised; tempered, its root."""
    p = np.zeros((len(z), len(centroids)))
    for i in range(len(z)):
        for k in range(len(centroids)):
            square = sum((a - b) ** 2 for a, b in zip(z[i], centroids[k], strict=True))
            p[i, k] = (1 + square / freedom) ** (-(freedom + 1) / 2 / temperature)
        p[i] /= p[i].sum()
    return p


def target(p):
    """Equation 3 over the whole set."""
    q = np.zeros_like(p)
    size = [sum(p[i, k] for i in range(len(p))) for k in range(p.shape[1])]
    for i in range(len(p)):
        for k in range(p.shape[1]):
            q[i, k] = p[i, k] / size[k] ** 0.5
        q[i] /= q[i].sum()
    return q


def squared_target(p):
    """The other form: p^2 over the batch's sums, normalised."""
    q = np.zeros_like(p)
    size = [sum(p[i, k] for i in range(len(p))) for k in range(p.shape[1])]
    for i in range(len(p)):
        for k in range(p.shape[1]):
            q[i, k] = p[i, k] ** 2 / size[k]
        q[i] /= q[i].sum()
    return q


def kl(a, b):
    """(N,) sum over k of a log(a / b); what is not there costs nothing. Equation 2 is the sum of kl(q, p)."""
    out = np.zeros(len(a))
    for i, k in np.ndindex(*a.shape):
        if a[i, k] > 0:
            out[i] += a[i, k] * math.log(a[i, k] / b[i, k])
    return out


# --- Normality --------------------------------------------------------------------------------------------------------


def log_ratio_coordinates(p):
    """Isometric log-ratio coordinates: j-th one sqrt(j / (j + 1)) log(geometric mean of the first j / the next)."""
    out = np.zeros((len(p), p.shape[1] - 1))
    for i in range(len(p)):
        for j in range(1, p.shape[1]):
            mean = sum(math.log(v) for v in p[i, :j]) / j
            out[i, j - 1] = math.sqrt(j / (j + 1)) * (mean - math.log(p[i, j]))
    return out


def expected_log_sticks(a, b):
    """E[log weight] of each component of a truncated stick-breaking process with Beta(a, b) posteriors."""
    out = []
    for k in range(len(a)):
        value = digamma(a[k]) - digamma(a[k] + b[k])
        for j in range(k):
            value += digamma(b[j]) - digamma(a[j] + b[j])
        out.append(value)
    return out


def log_sum_exp(values):
    top = max(values)
    return top + math.log(sum(math.exp(v - top) for v in values))


def gaussian_mixture_likelihood(y, sticks, freedom, mean_precision, means, covariances):
    """(N,) log likelihood of a variational mixture of Gaussians: expectations under its posterior.

    E[log pi] + (E[log |Lambda|] - D log 2 pi - D / beta - nu (y - m)^T W (y - m)) / 2 (Bishop 2006, equations 10.64 to
    10.66), with the mean covariance (nu W)^-1.
    """
    size = y.shape[1]
    weights = expected_log_sticks(*sticks)
    out = np.zeros(len(y))
    for i in range(len(y)):
        parts = []
        for g in range(len(means)):
            nu = freedom[g]
            precision = np.linalg.inv(covariances[g])  # nu W
            log_det = sum(digamma((nu - d) / 2) for d in range(size)) + size * math.log(2)
            log_det += math.log(np.linalg.det(precision / nu))
            apart = y[i] - means[g]
            parts.append(
                weights[g]
                + 0.5
                * (
                    log_det
                    - size * math.log(2 * math.pi)
                    - size / mean_precision[g]
                    - apart @ precision @ apart
                )
            )
        out[i] = log_sum_exp(parts)
    return out


def dirichlet_log_density(p, alpha):
    value = math.lgamma(sum(alpha))
    for k in range(len(alpha)):
        value += (alpha[k] - 1) * math.log(p[k]) - math.lgamma(alpha[k])
    return value


def dirichlet_mixture_likelihood(p, weights, alpha):
    """(N,) log sum_g w_g Dirichlet(p; alpha_g)."""
    return [
        log_sum_exp(
            [math.log(w) + dirichlet_log_density(one, a) for w, a in zip(weights, alpha, strict=True) if w]
        )
        for one in p
    ]


def dirichlet_mixture_bound(p, sticks, alpha, concentration, prior_vectors):
    """The evidence bound E[log p(x, z, v)] - E[log q(z, v)] with the best q(z), and the prior of alpha.

    Blei and Jordan 2006, equation 17, with v_t ~ Beta(1, concentration) truncated at the last component. The prior
    counts as ``prior_vectors`` vectors whose mean logarithm is that of the uniform distribution.
    """
    a, b = sticks
    log_weights = []
    for t in range(len(alpha)):
        value = sum(digamma(b[j]) - digamma(a[j] + b[j]) for j in range(t))
        if t < len(a):  # the last stick takes all that is left
            value += digamma(a[t]) - digamma(a[t] + b[t])
        log_weights.append(value)
    bound = 0.0
    for one in p:
        joint = [w + dirichlet_log_density(one, al) for w, al in zip(log_weights, alpha, strict=True)]
        r = softmax(joint)
        bound += sum(ri * (ji - math.log(ri)) for ri, ji in zip(r, joint, strict=True) if ri > 0)
    for t in range(len(a)):
        log_v, log_rest = digamma(a[t]) - digamma(a[t] + b[t]), digamma(b[t]) - digamma(a[t] + b[t])
        log_beta = math.lgamma(a[t]) + math.lgamma(b[t]) - math.lgamma(a[t] + b[t])
        bound += math.log(concentration) + (concentration - 1) * log_rest
        bound -= (a[t] - 1) * log_v + (b[t] - 1) * log_rest - log_beta
    size = alpha.shape[1]
    typical = [math.exp(digamma(1) - digamma(size))] * size
    return bound + prior_vectors * sum(dirichlet_log_density(typical, al) for al in alpha)


# --- Scores -----------------------------------------------------------------------------------------------------------


def normalised(joints, frame_size, scale):
    """A window's joints (T, V, 3), all of them seen, in pixels and confidence -> (3, T, V)."""
    frames, count, _ = joints.shape
    out = joints.astype(float)
    if scale != "body":
        for axis in range(2):
            out[..., axis] = 2 * out[..., axis] / frame_size[axis] - 1
    for axis in range(2):
        out[..., axis] -= sum(out[t, v, axis] for t in range(frames) for v in range(count)) / (frames * count)
    size = 1.0
    if scale == "largest":
        size = np.abs(out[..., :2]).max()
    elif scale == "body":  # root mean square distance from the body's centre of each frame
        squares = 0.0
        for t in range(frames):
            centre = sum(out[t, v, :2] for v in range(count)) / count
            squares += sum(((out[t, v, :2] - centre) ** 2).sum() for v in range(count))
        size = math.sqrt(squares / (frames * count))
    out[..., :2] /= size
    return out.transpose(2, 0, 1)


def transform(window, name, skeleton):
    """One of the five fixed transforms of a window (C, T, V) whose first channels are x and y."""
    out = window.copy()
    if name.startswith("mirror"):
        for joint in range(skeleton.num_joints):
            out[:, :, joint] = window[:, :, skeleton.mirror[joint]]
        out[0] = -out[0]
    degrees = int(name.split("rotate")[1]) if "rotate" in name else 0
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    across, down = out[0].copy(), out[1].copy()
    out[0], out[1] = cos * across - sin * down, sin * across + cos * down
    return out


def row_anomaly(windows, anomaly, tracks, mode, stride):
    """What a person's row of the tracks scores; NaN where no window says anything about it."""
    length = windows.x.shape[2]
    out = np.full(len(tracks.frame), np.nan)
    for row in range(len(tracks.frame)):
        at = tracks.time_s[tracks.frame[row]] * windows.fps  # in frames of the windows' rate
        mine = [i for i in range(len(windows)) if windows.track[i] == tracks.track[row]]
        if mode == "backtracked":
            nearest = math.ceil(at - 0.5)
            covering = [
                anomaly[i] for i in mine if windows.first[i] <= nearest <= windows.first[i] + length - 1
            ]
            if covering:
                out[row] = sum(covering) / len(covering)
        else:
            ended = [i for i in mine if windows.first[i] + length - 1 <= at + 1e-6]
            if ended:
                last = max(ended, key=lambda i: windows.first[i])
                if at - (windows.first[last] + length - 1) < stride - 1e-6:
                    out[row] = anomaly[last]
    return out


def frame_anomaly(rows, tracks):
    """The most abnormal person of each frame; NaN where nobody was scored."""
    out = np.full(tracks.frame_count, np.nan)
    for frame in range(tracks.frame_count):
        values = [rows[i] for i in np.flatnonzero(tracks.frame == frame) if not math.isnan(rows[i])]
        if values:
            out[frame] = max(values)
    return out


def gaussian_smoothing(values, time_s, sigma, causal, reach):
    """Gaussian-weighted mean of the frames within ``reach`` sigmas."""
    out = np.zeros(len(values))
    for i in range(len(values)):
        total = weight = 0.0
        for j in range(len(values)):
            apart = time_s[i] - time_s[j]
            if abs(apart) > reach * sigma or (causal and j > i):
                continue
            w = math.exp(-(apart**2) / (2 * sigma**2))
            total += w * values[j]
            weight += w
        out[i] = total / weight
    return out


def percentile(reference, value):
    """Share of the reference that is lower, 0 to 100."""
    return 100 * sum(r < value for r in reference) / len(reference)
