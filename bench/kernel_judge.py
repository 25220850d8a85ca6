"""What the native kernels should compute, in NumPy and float64, and random cases to ask for."""

from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from bench.kernel_calls import ACTS, TYPES, Kernels, Pair, decode, encode

Random = np.random.RandomState

_S, _A = 1.0507009873554805, 1.6732632423543772  # selu
_EPSILON = {'float32': 0, 'float16': 2.0**-10, 'bfloat16': 2.0**-8}


def _sigmoid(z):
    return 0.5 * (1 + np.tanh(0.5 * z))


def activation(act: str, z: np.ndarray, alpha: float) -> Tuple[np.ndarray, ...]:
    """f(z), f'(z) and f''(z)."""
    s, one, zero = _sigmoid(z), np.ones_like(z), np.zeros_like(z)
    e = np.exp(np.minimum(z, 0))
    return {
        'linear': lambda: (z, one, zero),
        'relu': lambda: (np.maximum(z, 0), 1.0 * (z > 0), zero),
        'lrelu': lambda: (np.where(z > 0, z, alpha * z), np.where(z > 0, 1, alpha), zero),
        'tanh': lambda: (np.tanh(z), 1 - np.tanh(z) ** 2, -2 * np.tanh(z) * (1 - np.tanh(z) ** 2)),
        'sigmoid': lambda: (s, s * (1 - s), s * (1 - s) * (1 - 2 * s)),
        'elu': lambda: (
            np.where(z > 0, z, np.expm1(z)),
            np.where(z > 0, 1, e),
            np.where(z > 0, 0, e),
        ),
        'selu': lambda: (
            _S * np.where(z > 0, z, _A * np.expm1(z)),
            _S * np.where(z > 0, 1, _A * e),
            _S * np.where(z > 0, 0, _A * e),
        ),
        'softplus': lambda: (np.logaddexp(z, 0), s, s * (1 - s)),
        'swish': lambda: (z * s, s + z * s * (1 - s), s * (1 - s) * (2 + z * (1 - 2 * s))),
    }[act]()


def _views(spec, inputs):
    """The optional inputs as float64, to be broadcast with [outer, channels, inner]."""
    outer, channels, inner, samples = [spec[n] for n in ['outer', 'channels', 'inner', 'samples']]
    style = inputs.get('style')
    maps = [inputs.get(name) for name in ['scale', 'shift']]
    scale, shift = [
        None if m is None else m.reshape(outer, 1, inner).astype(np.float64) for m in maps
    ]
    if style is not None:
        style = np.repeat(style.astype(np.float64), outer // samples, axis=0)[:, :, np.newaxis]
    bias = inputs.get('bias')
    return (
        0 if bias is None else bias.astype(np.float64).reshape(1, channels, 1),
        1 if style is None else style,
        1 if scale is None else scale,
        0 if shift is None else shift,
    )


def bias_act(spec: dict, inputs: dict) -> Tuple[np.ndarray, ...]:
    """z, and gain times f, f' and f'' of it."""
    bias, style, scale, shift = _views(spec, inputs)
    z = decode(inputs['x']) * style * scale + shift + bias
    return (z,) + tuple(
        spec['gain'] * part for part in activation(ACTS[spec['act'] - 1], z, spec['alpha'])
    )


def backward(spec: dict, inputs: dict, dy: Optional[np.ndarray]) -> Dict[str, np.ndarray]:
    """All gradients by name; dy None: ones."""
    _, style, scale, _ = _views(spec, inputs)
    x = decode(inputs['x'])
    u = (1 if dy is None else decode(dy)) * bias_act(spec, inputs)[2]
    samples, channels = spec['samples'], spec['channels']
    dstyle = np.sum(u * x * scale, axis=2).reshape(samples, -1, channels)
    return dict(
        dx=u * style * scale,
        dbias=np.sum(u, axis=(0, 2)),
        dstyle=np.sum(dstyle, axis=1),
        dscale=np.sum(u * x * style, axis=1).ravel(),
        dshift=np.sum(u, axis=1).ravel(),
    )


def upfirdn(
    x: np.ndarray, k: np.ndarray, up: Pair, down: Pair, pad: Sequence[Pair]
) -> Optional[np.ndarray]:
    """[major, H, W, minor] in float64, step by step; None if there is no result."""
    n, h, w, c = x.shape
    u = np.zeros([n, h * up[0], w * up[1], c])
    u[:, :: up[0], :: up[1]] = x
    u = np.pad(u, [(0, 0)] + [tuple(np.maximum(p, 0)) for p in pad] + [(0, 0)], 'constant')
    (y0, y1), (x0, x1) = [np.maximum(np.negative(p), 0) for p in pad]
    u = u[:, y0 : max(u.shape[1] - y1, 0), x0 : max(u.shape[2] - x1, 0)]
    out_h, out_w = u.shape[1] - k.shape[0] + 1, u.shape[2] - k.shape[1] + 1
    if out_h < 1 or out_w < 1:
        return None
    y = np.zeros([n, out_h, out_w, c])
    for i, j in np.ndindex(*k.shape):
        y += k[-1 - i, -1 - j] * u[:, i : i + out_h, j : j + out_w]
    return y[:, :: down[0], :: down[1]]


def adjoint(
    size: Pair, k: np.ndarray, up: Pair, down: Pair, pad: Sequence[Pair], out: Pair
) -> tuple:
    """Filter, up, down and pads of the gradient; pairs are (y, x), size and out of x and y."""
    pads = [
        (k.shape[i] - pad[i][0] - 1, size[i] * up[i] - out[i] * down[i] + pad[i][0] - up[i] + 1)
        for i in range(2)
    ]
    return np.ascontiguousarray(k[::-1, ::-1]), down, up, pads


def random_bias_act(rng: Random, dtype: str, acts: List[str] = ACTS) -> tuple:
    """spec, inputs and dy: both layouts, odd and even sizes, any of the optional inputs."""
    samples, rows = rng.randint(1, 4), rng.choice([1, 2, 7, 70])
    channels = rng.choice([1, 3, 8, 32, 130, 1100 if rows < 8 else 64])
    inner = 1 if rng.rand() < 0.5 else rng.choice([2, 16, 81, 5000 if channels < 8 else 100])
    outer = samples * (rows if inner == 1 else rng.randint(1, 3))
    spec = dict(
        outer=int(outer),
        channels=int(channels),
        inner=int(inner),
        samples=samples,
        dtype=TYPES[dtype][0],
        act=1 + ACTS.index(acts[rng.randint(len(acts))]),
        alpha=float(np.float32(rng.choice([0.2, 0.5]))),
        gain=float(np.float32(rng.choice([1, 1.414, 0.3]))),
    )
    shapes = dict(
        bias=[channels], style=[samples, channels], scale=[outer * inner], shift=[outer * inner]
    )
    inputs = {
        name: rng.randn(*shape).astype(np.float32)
        for name, shape in shapes.items()
        if rng.rand() < 0.6
    }
    inputs['x'] = encode(rng.randn(outer, channels, inner), dtype)
    return spec, inputs, encode(rng.randn(outer, channels, inner), dtype)


def random_upfirdn(rng: Random, dtype: str) -> tuple:
    """x, k, up, down, pad and the result.

    Most filters are products of two 1-D filters; some are like those of StyleGAN2, with 4 x 4 taps.
    """
    while True:
        taps = rng.randint(1, 33 if rng.rand() < 0.2 else 6, 2)
        is_like_stylegan2 = rng.rand() < 0.4
        if is_like_stylegan2:
            taps[:] = 4
        k = rng.randn(*taps)
        if is_like_stylegan2 or rng.rand() < 0.5:
            k = np.outer(rng.randn(taps[0]), rng.randn(taps[1]))
        up, down = ([v, v] for v in [(1, 1), (2, 1), (1, 2)][rng.randint(3)])
        if not is_like_stylegan2 and rng.rand() < 0.5:
            up, down = rng.randint(1, 4, [2, 2])
        pad = [tuple(p) for p in rng.randint(-3, 5, [2, 2])]
        size = rng.randint(1, 24 if rng.rand() < 0.7 else 45, 2)
        minor = rng.choice([1, 1, 2, 3, 16, 20, 520 if size.prod() < 300 else 40])
        x = encode(rng.randn(rng.randint(1, 3), size[0], size[1], minor), dtype)
        k = np.ascontiguousarray(k, np.float32)
        y = upfirdn(decode(x), k.astype(np.float64), up, down, pad)
        if y is not None:
            return x, k, list(up), list(down), pad, y


def assert_near(
    got: np.ndarray,
    want: np.ndarray,
    dtype: str = 'float32',
    what: Any = '',
    tolerance: float = 1e-5,
) -> None:
    """Within `tolerance` of the largest number wanted, and the rounding of the type."""
    got = decode(got)
    assert got.shape == want.shape, '%s: shape %s, want %s' % (what, got.shape, want.shape)
    error = np.abs(got - want) - _EPSILON[dtype] * np.abs(want)
    scale = max(1e-3, np.max(np.abs(want), initial=0))
    worst = np.max(error, initial=0) / scale
    assert worst <= tolerance, '%s: error %.3g' % (what, worst)


def check_bias_act(kernels: Kernels, rng: Random, dtype: str) -> dict:
    """One random case of everything that bias_act.h declares; returns the spec."""
    # Below float32, functions whose derivative needs the exact result are out of the question.
    acts = ACTS if dtype == 'float32' else ['linear', 'relu', 'lrelu', 'swish']
    spec, inputs, dy = random_bias_act(rng, dtype, acts)
    z, f, d1, d2 = bias_act(spec, inputs)
    what = '%s %s' % (spec, sorted(inputs))
    y = kernels.bias_act(spec, inputs)
    assert_near(y, f, dtype, what)
    is_swish = ACTS[spec['act'] - 1] == 'swish'
    ref = encode(z, dtype) if is_swish else y
    for grad, slope in [(1, d1), (2, d2)]:
        got = kernels.bias_act(spec, dict(x=dy), grad, ref)
        if dtype == 'float32' or not is_swish:
            assert_near(got, decode(dy) * slope, dtype, what, 3e-5)
    names = ['dx', 'dbias', 'dstyle', 'dscale', 'dshift']
    wanted = [name for name in names if rng.rand() < 0.6] or names
    dy = None if rng.rand() < 0.1 else dy
    want = backward(spec, inputs, dy)
    for name, got in kernels.backward(spec, inputs, dy, None if is_swish else y, wanted).items():
        assert_near(got, want[name], dtype if name == 'dx' else 'float32', name + ' ' + what, 3e-5)
    style = inputs.get('style')
    linear = dict(spec, act=1, gain=1.0)
    only = {name: inputs[name] for name in ['x', 'style'] if name in inputs}
    assert_near(
        kernels.channel_sum(spec, inputs['x'], style),
        backward(linear, only, None)['dscale'],
        'float32',
        what,
    )
    return spec


def check_upfirdn(kernels: Kernels, rng: Random, dtype: str) -> None:
    """One random case of upfirdn_2d.h and its gradient."""
    x, k, up, down, pad, want = random_upfirdn(rng, dtype)
    out = list(want.shape[1:3])
    what = '%s %s up %s down %s pad %s' % (x.shape, k.shape, up, down, pad)
    assert_near(kernels.upfirdn(x, k, up, down, pad, out), want, dtype, what)
    dy = encode(rng.randn(*want.shape), dtype)
    dx = kernels.upfirdn(
        dy, *(adjoint(x.shape[1:3], k, up, down, pad, out) + (list(x.shape[1:3]),))
    )
    if dtype == 'float32':  # <dy, op(x)> = <dx, x>
        np.testing.assert_allclose(
            np.sum(decode(dx) * decode(x)),
            np.sum(decode(dy) * want),
            rtol=1e-5,
            atol=1e-5 * np.linalg.norm(dx) * np.linalg.norm(x),
        )


# Planes of one axis, each from the pixels of a tile; and the distance of tiles. The first two as in
# Lavin and Gray 2015, section 4.1; the others worked out by hand for every other output.
_WINOGRAD = [
    ([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], 2),
    ([[1, 0], [1, 1], [1, -1], [0, -1]], 2),
    ([[1, 0, -1, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 0, -1], [0, 1, 0, 0, 0], [0, 0, 0, 1, 0]], 4),
    ([[1, 0], [1, 1], [0, -1], [1, 0], [0, 1]], 2),
]


def check_winograd(kernels: Kernels, rng: Random, matrix: int) -> None:
    """Planes of random images agree with NumPy, and the adjoint is the adjoint."""
    axis, step = np.array(_WINOGRAD[matrix][0]), _WINOGRAD[matrix][1]
    num, size = axis.shape
    spec = dict(
        images=rng.randint(1, 4),
        height=rng.randint(1, 12),
        width=rng.randint(1, 12),
        channels=16 * rng.randint(1, 4),
        tile_rows=rng.randint(1, 7),
        tile_columns=rng.randint(1, 7),
        pad=rng.randint(0, 2),
        matrix=matrix,
    )
    shape = [spec[name] for name in ['images', 'height', 'width', 'channels']]
    x = rng.randn(*shape).astype(np.float32)
    y = np.zeros([shape[0]] + [40] * 2 + [shape[3]])  # zeros wherever tiles lie
    p = spec['pad']
    y[:, p : p + shape[1], p : p + shape[2]] = x
    want = np.stack(
        [
            np.einsum('pi,qj,nijc->pqnc', axis, axis, y[:, i : i + size, j : j + size])
            for i in range(0, step * spec['tile_rows'], step)
            for j in range(0, step * spec['tile_columns'], step)
        ],
        axis=3,
    )
    got = kernels.winograd(spec, x, num**2)
    assert_near(got, np.reshape(want, [num**2, -1, shape[3]]), what=spec)

    planes = rng.randn(*got.shape).astype(np.float32)
    image = kernels.winograd_adjoint(spec, planes)
    left = np.sum(planes.astype(np.float64) * got)
    right = np.sum(image.astype(np.float64) * x)
    scale = np.linalg.norm(planes) * np.linalg.norm(got)
    assert abs(left - right) <= 1e-6 * scale, spec
